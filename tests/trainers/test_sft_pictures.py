"""Fine-tuning on conversations about pictures: the run's limits hold, and its book of ids."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import pytest
from PIL import Image

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.trainers.sft import train
from tests.backend.tiny import write_jsonl
from tests.seeing_models import write_seeing_model

COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("looked")
    write_seeing_model(root / "model", "qwen3_vl")
    for name, colour in COLOURS.items():
        Image.new("RGB", (64, 64), colour).save(root / f"{name}.png")
    lines = [
        {"prompt": "Which?", "completion": name, "images": [f"{name}.png"]} for name in COLOURS
    ]
    write_jsonl(root / "conversations.jsonl", lines)
    return root


def new_run(root: Path, workspace: Path, **settings: object) -> RunDirectory:
    file = str(root / "conversations.jsonl")
    values = {
        "model": str(root / "model"),
        "conversations": file,
        "validation_conversations": file,
        "num_steps": 4,
        "batch_size": 3,
        "gradient_accumulation_steps": 1,
        "learning_rate": 0.01,
        "lora": {"rank": 4, "alpha": 8},
        "grad_checkpoint": False,
        "checkpoint_every": 2,
        "eval_every": 4,
        "min_pixels": 784,
        **settings,
    }
    return create_run(workspace, SftConfig(sft=SftSettings.model_validate(values)))


def places_of(run: RunDirectory) -> list[int]:
    return [num_places for _, num_places in json.loads(run.pictures_file.read_text())]


def test_a_run_learns_what_pictures_show_and_resumes_to_the_same_bits(
    root: Path, tmp_path: Path
) -> None:
    whole, stopped, stop = new_run(root, tmp_path), new_run(root, tmp_path), StopRequest()
    train(whole)
    events = read_events(whole.events_file)
    losses = [e.metrics["eval_loss"] for e in events if e.kind == "evaluation_finished"]
    assert losses[-1] < losses[0]

    def watch(event: Event) -> None:
        if event.kind == "step_finished" and event.step == 3:
            stop.set()

    with pytest.raises(StoppedError):
        train(stopped, watch, stop)
    train(stopped, checkpoint=last_checkpoint(stopped))
    left, right = (
        mx.load(str(run.checkpoints / "last" / "adapters.safetensors")) for run in (whole, stopped)
    )
    assert isinstance(left, dict)
    assert isinstance(right, dict)
    assert all(mx.array_equal(left[name], right[name]) for name in left)
    assert places_of(whole) == [4, 4, 4]
    assert stopped.pictures_file.read_bytes() == whole.pictures_file.read_bytes()


def test_pictures_are_as_large_as_the_settings_let_them_be(root: Path, tmp_path: Path) -> None:
    run = new_run(root, tmp_path, max_pixels=1024, num_steps=1, eval_every=1)
    train(run)
    assert places_of(run) == [1, 1, 1]
