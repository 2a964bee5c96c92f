"""Prompt distillation with pictures in its inputs: the prompt is the teacher's, pictures both's."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import pytest
from PIL import Image

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ConfigError, DatasetError, ModelError, StoppedError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event, PhaseChanged, RunFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.trainers.prompt_distillation.train import train
from tests.backend.tiny import write_jsonl, write_tiny_model
from tests.described import assert_as_described
from tests.seeing_models import write_seeing_model

PROMPT = "Say which colour it has."
QUESTION = "Which?"


@dataclass(frozen=True)
class Desk:
    """Models and pictures, all with the same question, and a place for runs."""

    root: Path

    def create(self, workspace: Path, **settings: object) -> RunDirectory:
        values = {
            "teacher_model": str(self.root / "teacher"),
            "student_model": str(self.root / "student"),
            "teacher_prompt": str(self.root / "prompt.txt"),
            "inputs": str(self.root / "inputs.jsonl"),
            "validation_inputs": str(self.root / "held_out.jsonl"),
            "acceptance": "first",
            "max_thinking_tokens": 2,
            "max_answer_tokens": 2,
            "max_retries": 0,
            "min_pixels": 784,
            "max_pixels": 4096,
            "num_steps": 2,
            "batch_size": 2,
            "gradient_accumulation_steps": 1,
            "learning_rate": 0.01,
            "eval_every": 2,
            "checkpoint_every": 1,
            "lora": {"rank": 4, "alpha": 8},
            "grad_checkpoint": False,
            **settings,
        }
        return create_run(workspace, parse_config({"prompt_distillation": values}))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    root = tmp_path_factory.mktemp("pictured")
    write_seeing_model(root / "student", "qwen3_vl")
    write_seeing_model(root / "teacher", "qwen3_vl", seed=1)
    write_seeing_model(root / "stranger", "qwen2_5_vl")
    write_tiny_model(root / "blind")
    (root / "prompt.txt").write_text(PROMPT)
    for number in range(5):
        Image.new("RGB", (64, 32 + 32 * (number % 2)), (50 * number, 0, 90)).save(
            root / f"{number}.png"
        )
    (root / "again.png").write_bytes((root / "4.png").read_bytes())
    data = base64.b64encode((root / "3.png").read_bytes()).decode()
    inputs = ["0.png", "1.png", "2.png", f"data:image/png;base64,{data}", "again.png"]
    write_jsonl(root / "inputs.jsonl", [{"text": QUESTION, "image": name} for name in inputs])
    write_jsonl(root / "held_out.jsonl", [{"text": QUESTION, "images": ["4.png"]}])
    return Desk(root)


def adapter_of(run: RunDirectory) -> dict[str, mx.array]:
    weights = mx.load(str(run.checkpoints / "last" / "adapters.safetensors"))
    assert isinstance(weights, dict)
    return weights


def conversations(run: RunDirectory) -> list[dict[str, object]]:
    lines = (run.path / "generated" / "conversations.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def stopping_at(is_due: Callable[[Event], bool], stop: StopRequest) -> Callable[[Event], None]:
    def watch(event: Event) -> None:
        if is_due(event):
            stop.set()

    return watch


@pytest.fixture(scope="module")
def finished(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    runs = {}
    for training in ("sft", "on_policy"):
        runs[training] = desk.create(tmp_path_factory.mktemp(training), training=training)
        train(runs[training])
    return runs


@pytest.mark.parametrize("training", ["sft", "on_policy"])
def test_a_run_goes_through_its_stages_and_changes_the_adapter_alone(
    desk: Desk, finished: dict[str, RunDirectory], training: str
) -> None:
    run = finished[training]
    event = list(read_events(run.events_file))[-1]
    assert isinstance(event, RunFinished)
    assert event.report["student_after_seconds_per_answer"] > 0
    assert any(float(mx.abs(a).max()) > 0 for n, a in adapter_of(run).items() if n[-1] == "b")
    assert all("vision_tower" not in name for name in adapter_of(run))
    assert_as_described(run)


def test_the_student_learns_answers_to_pictures_without_the_prompt(
    desk: Desk, finished: dict[str, RunDirectory]
) -> None:
    lines = conversations(finished["sft"])
    # again.png is what is held out, under another name; the others differ in their pictures alone.
    assert len(lines) == 4
    folder = finished["sft"].path / "generated"
    named = [folder / str(line["images"][0]) for line in lines]  # type: ignore[index]
    expected = [desk.root / f"{number}.png" for number in range(4)]
    assert [file.read_bytes() for file in named] == [file.read_bytes() for file in expected]
    for line in lines:
        user, _ = line["messages"]  # type: ignore[misc]
        assert user["content"] == [{"type": "image"}, {"type": "text", "text": QUESTION}]
    assert PROMPT not in json.dumps(lines)


def test_the_teacher_sees_what_it_answers(finished: dict[str, RunDirectory]) -> None:
    samples = (finished["sft"].path / "generated" / "samples.jsonl").read_text().splitlines()
    assert len({json.loads(line)["reply"] for line in samples}) > 1


def test_an_on_policy_student_moves_towards_the_teacher_that_sees_the_prompt(
    finished: dict[str, RunDirectory],
) -> None:
    events = list(read_events(finished["on_policy"].events_file))
    kls = [e.metrics["eval_reverse_kl"] for e in events if e.kind == "evaluation_finished"]
    assert kls[-1] < kls[0]
    assert [e.passed for e in events if e.kind == "self_test_finished"] == [True]


@pytest.mark.parametrize("training", ["sft", "on_policy"])
def test_a_stopped_run_resumes_to_the_same_bits_with_the_same_ids(
    desk: Desk, finished: dict[str, RunDirectory], tmp_path: Path, training: str
) -> None:
    run, stop = desk.create(tmp_path, training=training), StopRequest()
    with pytest.raises(StoppedError):
        train(run, stopping_at(lambda e: e.kind == "step_finished" and e.step == 1, stop), stop)
    kept = run.pictures_file.read_bytes()
    train(run, checkpoint=last_checkpoint(run))
    left, right = adapter_of(run), adapter_of(finished[training])
    assert left.keys() == right.keys()
    assert all(mx.array_equal(left[name], right[name]) for name in left)
    # Four pictures to learn from and one that is held out, in the order of the files.
    assert run.pictures_file.read_bytes() == kept == finished[training].pictures_file.read_bytes()
    assert len(json.loads(kept)) == 5


def test_a_run_stopped_while_it_generates_keeps_to_the_ids_of_its_book(
    desk: Desk, tmp_path: Path
) -> None:
    run, stop = desk.create(tmp_path, num_steps=1), StopRequest()

    def is_due(event: Event) -> bool:
        return isinstance(event, PhaseChanged) and event.phase == "generating"

    with pytest.raises(StoppedError):
        train(run, stopping_at(is_due, stop), stop)
    numbered = json.loads(run.pictures_file.read_text())
    assert len(numbered) == 5
    # As if another order of files had numbered them.
    run.pictures_file.write_text(json.dumps(numbered[::-1]))
    train(run)
    assert json.loads(run.pictures_file.read_text()) == numbered[::-1]


def test_a_teacher_of_another_family_answers_but_does_not_score(desk: Desk, tmp_path: Path) -> None:
    other = {"teacher_model": str(desk.root / "stranger"), "num_steps": 1, "eval_every": 1}
    train(desk.create(tmp_path, **other))
    scoring = desk.create(tmp_path, training="on_policy", **other)
    with pytest.raises(ModelError, match=r"places of 32 pixels, .*stranger into 28"):
        train(scoring)
    assert not (scoring.path / "evaluation").exists()
    found = check_run(scoring.config(), tmp_path).findings
    assert "different_sight" in {each.code for each in found}


def test_a_teacher_whose_prompt_ends_otherwise_does_not_score(desk: Desk, tmp_path: Path) -> None:
    thinking = tmp_path / "thinking"
    shutil.copytree(desk.root / "teacher", thinking)
    template = thinking / "chat_template.jinja"
    template.write_text(
        template.read_text().replace("assistant\n{% endif", "assistant\n<think>{% endif")
    )
    run = desk.create(tmp_path, training="on_policy", teacher_model=str(thinking))
    with pytest.raises(ModelError, match="the prompt's end"):
        train(run)


@pytest.mark.parametrize("side", ["student_model", "teacher_model"])
def test_a_model_that_reads_words_alone_is_refused_by_the_line(
    desk: Desk, tmp_path: Path, side: str
) -> None:
    run = desk.create(tmp_path, **{side: str(desk.root / "blind")})
    with pytest.raises(DatasetError, match=r"inputs\.jsonl, line 1: .*blind reads words alone"):
        train(run)
    loading = [e for e in read_events(run.events_file) if isinstance(e, PhaseChanged)]
    assert not [event for event in loading if "teacher" in event.detail]


def test_answers_to_other_pictures_of_the_same_names_are_refused(
    desk: Desk, finished: dict[str, RunDirectory], tmp_path: Path
) -> None:
    for file in desk.root.glob("*.png"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "inputs.jsonl").write_bytes((desk.root / "inputs.jsonl").read_bytes())
    again = {"generated_from": str(finished["sft"].path), "num_steps": 1, "eval_every": 1}
    moved = {**again, "inputs": str(tmp_path / "inputs.jsonl")}
    train(desk.create(tmp_path / "moved", **moved))
    Image.new("RGB", (64, 64), (1, 2, 3)).save(tmp_path / "0.png")
    with pytest.raises(ConfigError, match="its inputs differ"):
        train(desk.create(tmp_path / "changed", **moved))


def test_self_distillation_looks_with_one_model(desk: Desk, tmp_path: Path) -> None:
    folder = desk.root / "student"
    run = desk.create(tmp_path, teacher_model=str(folder), training="on_policy", num_steps=2)
    base = flat_arrays(load_policy(str(folder)).model.parameters())
    train(run)
    again = flat_arrays(load_policy(str(folder)).model.parameters())
    assert all(mx.array_equal(base[name], again[name]) for name in base)
