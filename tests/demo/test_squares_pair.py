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
    conversations,
    store_in_16_bits,
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
