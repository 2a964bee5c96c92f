from pathlib import Path

import pytest

from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import (
    PICTURE_MARKERS,
    Policy,
    encode_picture_prompt,
    encode_prompt,
    refuse_different_sight,
)
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import Picture, PictureBook
from OnPolicyDistill.settings.sight import SightSettings
from tests.models.conftest import write_tiny_model
from tests.seeing_models import FAMILIES, a_picture, write_seeing_model


def eyes(policy: Policy) -> SeeingModel:
    assert isinstance(policy.model, SeeingModel)
    return policy.model


def test_the_ids_of_a_picture_stand_where_the_template_wrote_its_placeholder(
    policy: Policy,
) -> None:
    model = eyes(policy)
    pictures = [a_picture(model.sight, 2, 3, 1), a_picture(model.sight, 1, 2, 2)]
    image: dict[str, str] = {"type": "image"}
    parts = [image, {"type": "text", "text": "between"}, image]
    messages = [{"role": "user", "content": parts}]
    prompt = encode_picture_prompt(policy, messages, pictures, model.book)  # type: ignore[arg-type]
    vocabulary = policy.tokenizer.get_vocab()
    start, end = vocabulary["<|vision_start|>"], vocabulary["<|vision_end|>"]
    first, second = (list(model.book.ids_of(picture)) for picture in pictures)
    at = prompt.index(first[0])
    assert list(prompt[at - 1 : at + 7]) == [start, *first, end]
    at = prompt.index(second[0])
    assert list(prompt[at - 1 : at + 3]) == [start, *second, end]
    words = [{"role": "user", "content": "words alone"}]
    assert encode_picture_prompt(policy, words, [], model.book) == tuple(
        encode_prompt(policy, words)
    )


@pytest.mark.parametrize("num_pictures", [0, 2])
def test_a_conversation_with_more_or_fewer_pictures_than_it_names_is_refused(
    policy: Policy, num_pictures: int
) -> None:
    model = eyes(policy)
    pictures: list[Picture] = [a_picture(model.sight, 2, 3, n) for n in range(num_pictures)]
    messages = [{"role": "user", "content": [{"type": "image"}]}]
    with pytest.raises(DatasetError, match=f"{num_pictures} pictures.* 1 places"):
        encode_picture_prompt(policy, messages, pictures, model.book)  # type: ignore[arg-type]


def test_a_model_without_eyes_has_no_place_for_a_picture(policy: Policy, tmp_path: Path) -> None:
    blind = load_policy(str(write_tiny_model(tmp_path / "blind")))
    picture = a_picture(eyes(policy).sight, 1, 1)
    # Its tokenizer takes all three markers for the word that it takes any unknown one for.
    unknown = blind.tokenizer.convert_tokens_to_ids(list(PICTURE_MARKERS))
    messages = [{"role": "user", "content": blind.tokenizer.decode(unknown)}]
    assert encode_prompt(blind, messages)[3:6] == unknown
    with pytest.raises(DatasetError, match=r"1 pictures.* 0 places"):
        encode_picture_prompt(blind, messages, [picture], PictureBook())
    words = tuple(encode_prompt(blind, messages))
    assert encode_picture_prompt(blind, messages, [], PictureBook()) == words


def test_pairs_that_read_pictures_differently_are_refused_in_words(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    three, mixture, two = (load_policy(str(folders[family])) for family in FAMILIES)
    refuse_different_sight(three, mixture)
    with pytest.raises(ModelError, match="pixels along a patch 16 and 14"):
        refuse_different_sight(three, two)
    limits = SightSettings(min_pixels=1024, max_pixels=99_999)
    near = load_policy(str(folders["qwen3_vl"]), sight=limits)
    with pytest.raises(ModelError, match="most pixels 102400 and 99999"):
        refuse_different_sight(mixture, near)
    blind = load_policy(str(write_tiny_model(tmp_path / "blind")))
    with pytest.raises(ModelError, match="eyes True and False"):
        refuse_different_sight(three, blind)
    thinker = write_seeing_model(tmp_path / "thinker", "qwen3_vl")
    template = thinker / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant\n", "assistant\n<think>\n"))
    with pytest.raises(ModelError, match="the prompt's end"):
        refuse_different_sight(three, load_policy(str(thinker)))
