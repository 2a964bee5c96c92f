"""The playground with pictures: what models read, what the teacher grades, what is refused."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from PIL import Image
from pydantic import ValidationError

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.errors import DatasetError, DistillError, ModelError
from OnPolicyDistill.evaluation.playground import WarmModels, answer
from OnPolicyDistill.evaluation.playground_messages import (
    Ask,
    ChatMessage,
    FinishedMessage,
    GradesMessage,
    LinePicture,
    NoteMessage,
    PlaygroundMessage,
    Role,
    Sampling,
    SentPicture,
    StartedMessage,
    TokensMessage,
)
from OnPolicyDistill.evaluation.playground_pictures import read_question
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.picture_prompts import encode_seen
from OnPolicyDistill.settings.sight import SightSettings
from tests.backend.tiny import write_jsonl, write_tiny_model
from tests.seeing_models import write_seeing_model

SIGHT = SightSettings(min_pixels=784, max_pixels=4096, picture_cache_mb=8)


def sent(colour: tuple[int, int, int], width: int = 64, height: int = 32) -> SentPicture:
    stream = BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "PNG")
    return sent_bytes(stream.getvalue())


def sent_bytes(data: bytes) -> SentPicture:
    return SentPicture(data="data:image/png;base64," + base64.b64encode(data).decode())


RED, BLUE = sent((220, 20, 20)), sent((20, 20, 220), 64, 64)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_seeing_model(root / "student", "qwen3_vl")
    write_seeing_model(root / "teacher", "qwen3_vl_moe", seed=1)
    write_seeing_model(root / "stranger", "qwen2_5_vl")
    write_tiny_model(root / "blind")
    return root


@pytest.fixture(scope="module")
def warm() -> WarmModels:
    return WarmModels()


def ask(models: Path, *pictures: SentPicture | LinePicture, **changed: object) -> Ask:
    roles: tuple[Role, ...] = ("student",)
    values: dict[str, object] = {
        "id": 1,
        "roles": roles,
        "student": str(models / "student"),
        "messages": (ChatMessage(role="user", content="Which?", pictures=pictures),),
        "sampling": Sampling(temperature=1.0, max_tokens=9, seed=3),
        "sight": SIGHT,
    }
    return Ask.model_validate(values | changed)


def heard(question: Ask, warm: WarmModels) -> list[PlaygroundMessage]:
    return list(answer(warm, question, lambda: False))


def text_of(messages: list[PlaygroundMessage]) -> str:
    return next(m.text for m in messages if isinstance(m, FinishedMessage))


def test_the_answer_names_the_tokens_of_each_picture(models: Path, warm: WarmModels) -> None:
    asked = "First <image>, then <image>."
    message = ChatMessage(role="user", content=asked, pictures=(RED, BLUE))
    messages = heard(ask(models, messages=(message,)), warm)
    started = next(m for m in messages if isinstance(m, StartedMessage))
    red, blue = started.pictures
    assert (red.num_tokens, red.width, red.height) == (2, 64, 32)
    assert (blue.num_tokens, blue.width, blue.height) == (4, 64, 64)
    assert red.first + red.num_tokens < blue.first
    assert blue.first + blue.num_tokens < started.num_prompt_tokens


def test_what_is_said_depends_on_the_picture_and_comes_again(
    models: Path, warm: WarmModels
) -> None:
    said = [text_of(heard(ask(models, picture), warm)) for picture in (RED, BLUE, RED)]
    assert said[0] == said[2] != said[1]


def test_a_picture_of_an_earlier_turn_is_still_seen(models: Path, warm: WarmModels) -> None:
    said = []
    for picture in (RED, BLUE):
        turns = (
            ChatMessage(role="user", content="Look.", pictures=(picture,)),
            ChatMessage(role="assistant", content="I do. <image>"),
            ChatMessage(role="user", content="Which?"),
        )
        said.append(text_of(heard(ask(models, messages=turns), warm)))
    assert said[0] != said[1]


def test_the_teacher_grades_every_token_as_it_would_score_it(
    models: Path, warm: WarmModels
) -> None:
    messages = heard(ask(models, BLUE, teacher=str(models / "teacher")), warm)
    grades = [g for m in messages if isinstance(m, GradesMessage) for g in m.grades]
    tokens = [t.id for m in messages if isinstance(m, TokensMessage) for t in m.tokens]
    assert len(grades) == len(tokens) > 0
    teacher = load_policy(str(models / "teacher"), sight=SIGHT)
    (source,) = read_question(ask(models, BLUE).messages)[1]
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which?"}]}]
    prompt = encode_seen(teacher, asked, [source])
    # One pass over all of it, without the cache that grades came from.
    logits = teacher.model(mx.array([[*prompt, *tokens]]))[0, len(prompt) - 1 : -1]
    logprobs = nn.log_softmax(logits[:, : teacher.vocab_size].astype(mx.float32))
    for row, (token, grade) in enumerate(zip(tokens, grades, strict=True)):
        # Sums in another order.
        assert as_float(logprobs[row, token]) == pytest.approx(grade.teacher_logprob, abs=2e-4)


def test_three_models_look_at_one_picture(models: Path, warm: WarmModels) -> None:
    roles = ("base", "student", "teacher")
    teacher = str(models / "teacher")
    messages = heard(ask(models, RED, roles=roles, teacher=teacher), warm)
    started = [m for m in messages if isinstance(m, StartedMessage)]
    assert [m.role for m in started] == list(roles)
    assert len({m.pictures for m in started}) == 1


@pytest.mark.parametrize("teacher", ["stranger", "blind"])
def test_a_teacher_that_sees_otherwise_does_not_grade(
    models: Path, warm: WarmModels, teacher: str
) -> None:
    messages = heard(ask(models, RED, teacher=str(models / teacher)), warm)
    notes = [m.text for m in messages if isinstance(m, NoteMessage)]
    assert len(notes) == 1
    assert "cannot grade this" in notes[0]
    assert not [m for m in messages if isinstance(m, GradesMessage)]
    assert text_of(messages)


def test_a_model_that_reads_words_alone_is_refused_before_any_is_loaded(models: Path) -> None:
    blind = ask(models, RED, roles=("student", "teacher"), teacher=str(models / "blind"))
    with pytest.raises(ModelError, match="reads words alone"):
        next(answer(WarmModels(), blind, lambda: False))


def test_a_picture_is_as_large_as_the_question_lets_it_be(models: Path, warm: WarmModels) -> None:
    few = SightSettings(min_pixels=784, max_pixels=1024)
    messages = heard(ask(models, BLUE, sight=few), warm)
    assert next(m for m in messages if isinstance(m, StartedMessage)).pictures[0].num_tokens == 1


def test_a_picture_may_be_chosen_by_a_line_of_a_set(
    models: Path, warm: WarmModels, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 32), (220, 20, 20)).save(tmp_path / "red.png")
    write_jsonl(tmp_path / "set.jsonl", [{"prompt": "a"}, {"prompt": "b", "images": ["red.png"]}])
    chosen = LinePicture(file=str(tmp_path / "set.jsonl"), holds="prompts", line=2, number=1)
    of_line = heard(ask(models, chosen), warm)
    assert text_of(of_line) == text_of(heard(ask(models, RED), warm))
    for line, number in ((1, 1), (2, 2), (3, 1)):
        missing = chosen.model_copy(update={"line": line, "number": number})
        with pytest.raises(DatasetError, match=f"Line {line} has no picture {number}"):
            heard(ask(models, missing), warm)


def bomb() -> bytes:
    stream = BytesIO()
    Image.new("1", (12_000, 12_000)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bomb()]
)
def test_what_is_no_picture_or_too_large_is_refused_by_its_number(
    models: Path, warm: WarmModels, data: bytes
) -> None:
    with pytest.raises(DistillError, match="picture 2"):
        heard(ask(models, RED, sent_bytes(data)), warm)


def test_broken_base64_is_refused(models: Path, warm: WarmModels) -> None:
    with pytest.raises(DatasetError, match="base64 is damaged"):
        heard(ask(models, SentPicture(data="data:image/png;base64,§§§")), warm)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "user", "content": "<image> <image>", "pictures": (RED,)}, "2 places"),
        ({"role": "system", "content": "a", "pictures": (RED,)}, "only the user's"),
        ({"role": "user", "content": "a", "pictures": (RED,) * 33}, "at most 32"),
        ({"role": "user", "content": "a", "pictures": ({"data": "file:///etc/passwd"},)}, "kind"),
        (
            {
                "role": "user",
                "content": "a",
                "pictures": ({"kind": "data", "data": "/etc/passwd"},),
            },
            "should match pattern",
        ),
        (
            {
                "role": "user",
                "content": "a",
                "pictures": ({"kind": "data", "data": "data:text/html;base64,aa"},),
            },
            "should match pattern",
        ),
    ],
)
def test_a_message_that_cannot_be_meant_is_refused(message: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ChatMessage.model_validate(message)
