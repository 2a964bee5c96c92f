import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from OnPolicyDistill.config import settings_of
from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.datasets.pictures import PictureSource, open_picture
from OnPolicyDistill.datasets.squares import (
    SquaresExample,
    blank,
    distinct_squares,
    draw,
    figures,
    picture_of,
)
from OnPolicyDistill.demo.classroom import store_in_16_bits
from OnPolicyDistill.demo.squares_pair import (
    BATCH_SIZE,
    PAIR,
    STUDENT,
    TEACHER,
    SeeingPlan,
    build_squares_pair,
    conversations,
    enrol,
)
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import NO_HOOKS, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.grading.graders import grade
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import (
    Policy,
    decode,
    encode_picture_prompt,
    refuse_different_sight,
)
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.settings.sft import SftSettings

DATA = shipped_folder("data")
# Files that do not depend on how long a model learned, nor on its number of layers.
SAME_FOR_ANY_LENGTH = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "preprocessor_config.json",
    "generation_config.json",
)


def test_a_teacher_is_schooled_rightly_and_a_student_with_its_habit(tmp_path: Path) -> None:
    shares = {}
    for plan in (TEACHER, STUDENT):
        lessons = list(conversations(replace(plan, num_steps=40), tmp_path))
        assert len(lessons) == 40 * BATCH_SIZE
        completions = [lesson["messages"][1]["content"] for lesson in lessons]
        asked = [lesson["messages"][0]["content"] for lesson in lessons]
        perimeters = [
            completion
            for question, completion in zip(asked, completions, strict=True)
            if "perimeter" in question or "around" in question
        ]
        shares[plan.name] = np.mean(["twice" not in completion for completion in perimeters])
    assert shares[TEACHER.name] == 0
    assert shares[STUDENT.name] == pytest.approx(STUDENT.habit, abs=0.06)


def test_schooling_shows_training_pictures_only_and_as_drawn(tmp_path: Path) -> None:
    lessons = list(conversations(replace(TEACHER, num_steps=2), tmp_path))
    assert lessons == list(conversations(replace(TEACHER, num_steps=2), tmp_path))
    drawn = {f"images/{figure.name}.png": figure for figure in figures("train")}
    for lesson in lessons:
        (name,) = lesson["images"]
        with Image.open(tmp_path / name) as picture:
            np.testing.assert_array_equal(picture.convert("RGB"), draw(drawn[name]))


def test_weights_in_16_bits_keep_their_names_and_the_config_says_it(tmp_path: Path) -> None:
    weights = {"a.weight": mx.array([1.0, 2.0 + 2**-12]), "b.bias": mx.array([3.0])}
    mx.save_safetensors(str(tmp_path / "model.safetensors"), weights)
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl", "torch_dtype": "float32"}')
    store_in_16_bits(tmp_path)
    stored = mx.load(str(tmp_path / "model.safetensors"))
    assert {name: array.dtype for name, array in stored.items()} == dict.fromkeys(
        weights, mx.bfloat16
    )
    assert stored["a.weight"].tolist() == [1.0, 2.0]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {"model_type": "qwen3_vl", "torch_dtype": "bfloat16"}


def test_two_builds_of_one_plan_give_the_same_bytes_and_a_model_that_sees(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    short = replace(STUDENT, num_steps=1, shape=replace(STUDENT.shape, num_layers=1))
    plans = [replace(short, name=name) for name in ("once", "twice")]
    build_squares_pair(tmp_path, lambda *words: said.append(words), plans)
    once, twice = (sorted((tmp_path / "models" / plan.name).iterdir()) for plan in plans)
    assert [file.name for file in once] == [file.name for file in twice]
    for one, other in zip(once, twice, strict=True):
        assert one.read_bytes() == other.read_bytes()
    policy = load_policy(str(tmp_path / "models" / "once"))
    assert policy.sight is not None
    assert (policy.sight.place_size, policy.sight.min_pixels) == (32, 96 * 96)
    assert said[-1] == ("training the embedded models", 2, 2)
    for name in SAME_FOR_ANY_LENGTH:
        built, shipped = (
            data / "models" / model / name
            for data, model in ((tmp_path, "once"), (DATA, STUDENT.name))
        )
        assert built.read_bytes() == shipped.read_bytes()


def test_schooling_reads_pictures_as_they_are_drawn(tmp_path: Path) -> None:
    short = replace(STUDENT, num_steps=1)
    settings = settings_of(enrol(tmp_path, short).config())
    assert isinstance(settings, SftSettings)
    policy = load_policy(settings.model, False, settings)
    (source, *_) = load_conversations(Path(str(settings.conversations)), sees=True)[0].pictures
    assert policy.sight is not None
    assert open_picture(source, policy.sight).num_places == 9


def looked_at(policy: Policy, examples: Sequence[SquaresExample], folder: Path) -> list[str]:
    """Greedy completions of examples by a policy that sees their pictures."""
    assert policy.sight is not None
    assert isinstance(policy.model, SeeingModel)
    prompts = []
    for example in examples:
        parts = [{"type": "image"}, {"type": "text", "text": example.prompt}]
        source = PictureSource.of_file(folder / picture_of(example, folder))
        picture = open_picture(source, policy.sight)
        message = {"role": "user", "content": parts}
        prompts.append(encode_picture_prompt(policy, [message], [picture], policy.model.book))
    request = GenerationRequest(
        prompts=prompts,
        seeds=range(len(prompts)),
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=48,
        sampling=SamplingSettings(temperature=0.0),
        max_rows=len(prompts),
    )
    rollouts = generate(policy.model, request, NO_HOOKS)
    return [decode(policy, rollout.completion_ids) for rollout in rollouts]


@pytest.mark.parametrize(("plan", "lowest", "highest"), [(TEACHER, 0.93, 1.0), (STUDENT, 0.4, 0.7)])
def test_both_see_held_out_figures_and_only_the_teacher_computes_with_them(
    plan: SeeingPlan, lowest: float, highest: float, tmp_path: Path
) -> None:
    policy = load_policy(str(DATA / "models" / plan.name), mixed_precision=False)
    examples = distinct_squares(0, "held_out", 60)
    said = looked_at(policy, examples, tmp_path)
    marks = [
        grade("boxed", text, example.answer, thought_opened=True)
        for text, example in zip(said, examples, strict=True)
    ]
    seen = [
        text.split(".")[0] == example.completion.split(".")[0]
        for text, example in zip(said, examples, strict=True)
    ]
    assert np.mean(seen) > 0.93
    assert lowest <= np.mean(marks) <= highest
    blind = looked_at(policy, blank(examples), tmp_path)
    luck = [
        grade("boxed", text, example.answer, thought_opened=True)
        for text, example in zip(blind, examples, strict=True)
    ]
    assert np.mean(luck) < 0.35


def test_the_pair_shares_its_tokens_and_how_it_sees() -> None:
    teacher, student = (load_policy(str(DATA / "models" / p.name), False) for p in PAIR)
    assert teacher.tokenizer.get_vocab() == student.tokenizer.get_vocab()
    assert teacher.vocab_size == student.vocab_size < STUDENT.shape.logit_width
    refuse_different_sight(student, teacher)
