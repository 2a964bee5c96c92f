import json
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from OnPolicyDistill.datasets.squares import draw, figures
from OnPolicyDistill.demo.squares_pair import (
    BATCH_SIZE,
    STUDENT,
    TEACHER,
    build_squares_pair,
    conversations,
    store_in_16_bits,
)
from OnPolicyDistill.models.loading import load_policy


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
    short = replace(STUDENT, num_steps=2, shape=replace(STUDENT.shape, num_layers=1))
    plans = [replace(short, name=name) for name in ("once", "twice")]
    build_squares_pair(tmp_path, lambda *words: said.append(words), plans)
    once, twice = (sorted((tmp_path / "models" / plan.name).iterdir()) for plan in plans)
    assert [file.name for file in once] == [file.name for file in twice]
    for one, other in zip(once, twice, strict=True):
        assert one.read_bytes() == other.read_bytes()
    policy = load_policy(str(tmp_path / "models" / "once"))
    assert policy.sight is not None
    assert (policy.sight.place_size, policy.sight.min_pixels) == (32, 96 * 96)
    assert said[-1] == ("training the embedded models", 4, 4)
