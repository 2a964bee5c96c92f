"""Completions of prompts with pictures, by models that see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
import pytest
from PIL import Image

from OnPolicyDistill.adapters.files import save_adapter
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.config import EvaluationConfig, load_config, parse_config
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.runs.checkpoints import TrainingState, save_checkpoint
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.settings.training import LoraSettings
from tests.backend.tiny import write_tiny_model
from tests.seeing_models import write_seeing_model

if TYPE_CHECKING:
    from tests.cli.conftest import Opd, Outcome

ASKED = ("--max-tokens", "6", "--temperature", "1", "--seed", "1", "--json", "--prompt")
RED_PLACES, BLUE_PLACES = 2, 4  # 64 x 32 and 64 x 64 pixels in places of 32


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that see, a text model, and pictures."""
    root = tmp_path_factory.mktemp("seen")
    write_seeing_model(root / "student", "qwen3_vl")
    write_seeing_model(root / "teacher", "qwen3_vl_moe", seed=1)
    write_tiny_model(root / "words")
    Image.new("RGB", (64, 32), (200, 30, 30)).save(root / "red.png")
    Image.new("RGB", (64, 64), (30, 30, 200)).save(root / "blue.png")
    Image.new("RGB", (8000, 8000)).save(root / "huge.png")
    (root / "broken.png").write_bytes((root / "red.png").read_bytes()[:60])
    (root / "words.png").write_text("no picture")
    return root


def run_with_adapter(root: Path, workspace: Path, **limits: int) -> tuple[str, Path]:
    """A run of two models that see with one checkpoint, whose adapter changes every logit."""
    values = {"student_model": str(root / "student"), "teacher_model": str(root / "teacher")}
    run = create_run(workspace, parse_config({"prompt_distillation": {**values, **limits}}))
    model = load_policy(str(root / "student")).model
    adapter = attach_adapter(model, LoraSettings(rank=2), ("q_proj", "down_proj"), 0)
    for layer in adapter_layers(model).values():
        layer.lora_b = mx.random.normal(layer.lora_b.shape, key=mx.random.key(1))
    state = TrainingState(step=5, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
    save_checkpoint(run, state, lambda folder: save_adapter(folder, model, adapter, "student"))
    return run.run_id, run.checkpoints / "000005"


def completions(outcome: Outcome) -> list[dict[str, object]]:
    assert outcome.exit_code == 0, outcome.err
    value = outcome.json()
    assert isinstance(value, dict)
    return list(value["completions"])


@pytest.fixture
def run_id(root: Path, workspace: Path) -> str:
    return run_with_adapter(root, workspace, min_pixels=784)[0]


def test_pictures_stand_before_the_words_or_where_they_say_so(
    opd: Opd, root: Path, run_id: str
) -> None:
    images = ("--image", str(root / "red.png"), "--image", str(root / "blue.png"))
    asked = ("generate", "--run", run_id, *images, *ASKED)
    (before,) = completions(opd(*asked, "Which?"))
    (marked,) = completions(opd(*asked, "<image><image>Which?"))
    (behind,) = completions(opd(*asked, "Which?<image><image>"))
    assert before == {**marked, "tokens_per_second": before["tokens_per_second"]}
    assert before["num_picture_tokens"] == RED_PLACES + BLUE_PLACES
    assert before["text"] != behind["text"]
    told = opd(*asked, "Which?").json()
    assert isinstance(told, dict)
    assert told["images"] == [images[1], images[3]]


def test_another_picture_gives_another_completion(opd: Opd, root: Path, run_id: str) -> None:
    said = [
        completions(opd("generate", "--run", run_id, "--image", str(root / name), *ASKED, "a?"))[0]
        for name in ("red.png", "red.png", "blue.png")
    ]
    assert said[0]["text"] == said[1]["text"] != said[2]["text"]


def test_base_student_and_teacher_look_at_the_same_picture(
    opd: Opd, root: Path, run_id: str
) -> None:
    shown = ("--image", str(root / "red.png"))
    side_by_side = completions(opd("generate", "--run", run_id, "--compare", *shown, *ASKED, "a?"))
    assert [answer["role"] for answer in side_by_side] == ["base", "student", "teacher"]
    assert {answer["num_picture_tokens"] for answer in side_by_side} == {RED_PLACES}
    assert len({answer["text"] for answer in side_by_side}) == 3


def test_a_picture_costs_as_many_tokens_as_the_run_lets_it(
    opd: Opd, root: Path, workspace: Path
) -> None:
    small, adapter = run_with_adapter(root, workspace, min_pixels=784, max_pixels=2048)
    shown = ("--image", str(root / "blue.png"), *ASKED, "a?")
    (of_run,) = completions(opd("generate", "--run", small, *shown))
    model = ("--model", str(root / "student"), "--adapter", str(adapter))
    (by_default,) = completions(opd("generate", *model, *shown))
    assert of_run["num_picture_tokens"] == 1
    assert by_default["num_picture_tokens"] == BLUE_PLACES  # the folder has 1,024 pixels at least


def test_a_run_is_evaluated_on_pictures_as_large_as_it_reads_them(
    opd: Opd, root: Path, workspace: Path
) -> None:
    run_id, _ = run_with_adapter(root, workspace, min_pixels=784, max_pixels=2048)
    line = {"image": str(root / "blue.png"), "text": "Which?", "label": "blue"}
    (root / "items.jsonl").write_text(json.dumps(line))
    answered = ("--inputs", str(root / "items.jsonl"), "--max-answer-tokens", "2", "--json")
    outcome = opd("evaluate", "--run", run_id, *answered)
    report = outcome.json()
    assert isinstance(report, dict), outcome.err
    assert report["variants"][0]["num_graded"] == 1
    config = load_config(workspace / "runs" / report["run_id"] / "config.yaml")
    assert isinstance(config, EvaluationConfig)
    assert (config.evaluation.min_pixels, config.evaluation.max_pixels) == (784, 2048)


def test_how_many_tokens_a_picture_took_is_said(opd: Opd, root: Path, run_id: str) -> None:
    shown = ("--run", run_id, "--image", str(root / "red.png"), "--max-tokens", "2")
    outcome = opd("generate", *shown, "--prompt", "a?")
    assert f"{RED_PLACES} of them pictures" in outcome.err
    assert "pictures" not in opd("generate", "--run", run_id, "--max-tokens", "2", "-p", "a").err


@pytest.mark.parametrize(
    ("model", "image", "prompt", "sentence"),
    [
        ("words", "red.png", "a?", "words reads words alone, and there are pictures to see"),
        ("student", "none.png", "a?", "There is no picture"),
        ("student", "broken.png", "a?", "broken.png: "),
        ("student", "words.png", "a?", "words.png: "),
        ("student", "huge.png", "a?", "huge.png: "),
        ("student", "red.png", "<image> or <image>?", "has 2 places for a picture"),
        ("student", None, "<image>\na?", "Name the picture with --image"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_words(
    opd: Opd, root: Path, model: str, image: str | None, prompt: str, sentence: str
) -> None:
    shown = () if image is None else ("--image", str(root / image))
    outcome = opd("generate", "--model", str(root / model), *shown, "--prompt", prompt)
    assert outcome.exit_code == 2
    assert sentence in outcome.err
    assert "Traceback" not in outcome.err
    if model == "words":
        assert "qwen3-vl-4b-thinking" in outcome.err


def test_a_blind_teacher_is_refused_before_the_student_is_asked(opd: Opd, root: Path) -> None:
    pair = ("--model", str(root / "student"), "--teacher", str(root / "words"), "--compare")
    outcome = opd("generate", *pair, "--image", str(root / "red.png"), "--prompt", "a?")
    assert outcome.exit_code == 2
    assert "reads words alone" in outcome.err
    assert not outcome.out
