"""The three stages of prompt distillation on tiny random models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.adapters.lora import adapter_parameters
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.divergences import DIVERGENCES
from OnPolicyDistill.errors import ConfigError, DatasetError, StoppedError
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event, PhaseChanged, RunFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.trainers.prompt_distillation.train import train
from tests.described import assert_as_described
from tests.rounding import SAME_ADAPTER, parted

INPUTS = ["guten Tag", "good day", "bonjour", "buenos dias", "merhaba", "namaste"]
HELD_OUT = ["gute Nacht", "good night"]
PROMPT = "Name the language of what you read, in one word. " * 3
GENERATED = ("samples.jsonl", "conversations.jsonl", "validation_conversations.jsonl")


@dataclass(frozen=True)
class Desk:
    """Two models, inputs and a prompt, and a place for runs."""

    root: Path

    def create(self, workspace: Path, **settings: object) -> RunDirectory:
        values = {
            "teacher_model": str(self.root / "teacher"),
            "student_model": str(self.root / "student"),
            "teacher_prompt": str(self.root / "prompt.txt"),
            "inputs": str(self.root / "inputs.txt"),
            "validation_inputs": str(self.root / "held_out.txt"),
            "num_samples": 2,
            "acceptance": "first",
            "max_thinking_tokens": 6,
            "max_answer_tokens": 6,
            "max_retries": 1,
            "num_steps": 4,
            "batch_size": 2,
            "gradient_accumulation_steps": 2,
            "learning_rate": 0.01,
            "eval_every": 2,
            "checkpoint_every": 2,
            "lora": {"rank": 4, "alpha": 8},
            "grad_checkpoint": False,
            **settings,
        }
        return create_run(workspace, parse_config({"prompt_distillation": values}))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    root = tmp_path_factory.mktemp("desk")
    for seed, name in enumerate(("student", "teacher")):
        (root / name).mkdir()
        write_tokenizer(root / name, [*INPUTS, *HELD_OUT, PROMPT] * 2, 280)
        write_random_model(root / name, TinyShape(32, 2, 2, 1, 64, 288, True), seed)
    (root / "prompt.txt").write_text(PROMPT)
    (root / "inputs.txt").write_text("\n".join([*INPUTS, INPUTS[0]]))
    (root / "held_out.txt").write_text("\n".join(HELD_OUT))
    return Desk(root)


def adapter_of(run: RunDirectory) -> dict[str, mx.array]:
    weights = mx.load(str(run.checkpoints / "last" / "adapters.safetensors"))
    assert isinstance(weights, dict)
    return weights


def assert_equal_runs(one: RunDirectory, other: RunDirectory) -> None:
    for name in GENERATED:
        assert (one.path / "generated" / name).read_bytes() == (
            other.path / "generated" / name
        ).read_bytes()
    left, right = adapter_of(one), adapter_of(other)
    assert left.keys() == right.keys()
    assert all(mx.array_equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def finished(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = desk.create(tmp_path_factory.mktemp("workspace"))
    train(run)
    return run


def test_a_run_goes_through_its_three_stages(finished: RunDirectory) -> None:
    lines = (finished.path / "generated" / "conversations.jsonl").read_text().splitlines()
    assert [json.loads(line)["messages"][0]["content"] for line in lines] == INPUTS
    event = list(read_events(finished.events_file))[-1]
    assert isinstance(event, RunFinished)
    names = ("teacher_with_prompt", "student_with_prompt", "student_before", "student_after")
    for name in names:
        assert event.report[f"{name}_seconds_per_answer"] > 0
        measured = json.loads((finished.path / "evaluation" / f"{name}.json").read_text())
        assert [p["text"] for p in measured["predictions"]] == HELD_OUT
    assert_as_described(finished)


def test_the_student_moves_towards_its_teachers_answers(desk: Desk, tmp_path: Path) -> None:
    run = desk.create(tmp_path, num_steps=30, eval_every=30)
    train(run)
    losses = [
        event.metrics["eval_loss"]
        for event in read_events(run.events_file)
        if event.kind == "evaluation_finished"
    ]
    steps = [e.metrics["loss"] for e in read_events(run.events_file) if e.kind == "step_finished"]
    assert steps[-1] < steps[0] - 0.3
    assert len(losses) == 2


def test_self_distillation_teaches_with_the_base_model_and_changes_only_the_adapter(
    desk: Desk, tmp_path: Path
) -> None:
    folder = desk.root / "student"
    run = desk.create(tmp_path, teacher_model=str(folder))
    other = desk.create(tmp_path, teacher_model=str(folder), learning_rate=0.001)
    base = flat_arrays(load_policy(str(folder)).model.parameters())
    train(run)
    train(other)
    samples = [r.path / "generated" / "samples.jsonl" for r in (run, other)]
    assert samples[0].read_bytes() == samples[1].read_bytes()
    again = flat_arrays(load_policy(str(folder)).model.parameters())
    assert all(mx.array_equal(base[name], again[name]) for name in base)
    assert any(float(mx.abs(a).max()) > 0 for n, a in adapter_of(run).items() if n[-1] == "b")
    assert not adapter_parameters(load_policy(str(folder)).model)


@pytest.mark.parametrize("phase", ["generating", "learning"])
def test_a_run_stopped_anywhere_resumes_to_the_same_bits(
    desk: Desk, finished: RunDirectory, tmp_path: Path, phase: str
) -> None:
    run, stop = desk.create(tmp_path), StopRequest()

    def watch(event: Event) -> None:
        if isinstance(event, PhaseChanged) and event.phase == phase == "generating":
            stop.set()
        if event.kind == "step_finished" and event.step == 3:
            stop.set()

    with pytest.raises(StoppedError):
        train(run, watch, stop)
    assert run.state() == "paused"
    train(run, checkpoint=last_checkpoint(run))
    assert_equal_runs(run, finished)


def kill_when(run: RunDirectory, is_due: Callable[[], bool]) -> None:
    """Let a process of its own work on the run, and kill it when it is due or shortly after."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "OnPolicyDistill", "train", "--run", str(run.path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while worker.poll() is None and not is_due():
        time.sleep(0.01)
    assert worker.poll() is None, "the run was over before it could be killed"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()


def test_a_worker_killed_while_it_generates_loses_at_most_a_batch(
    desk: Desk, finished: RunDirectory, tmp_path: Path
) -> None:
    run = desk.create(tmp_path)
    samples = run.path / "generated" / "samples.jsonl"
    kill_when(run, lambda: samples.exists() and samples.stat().st_size > 0)
    assert samples.read_text().count("\n") >= 2
    train(run, checkpoint=last_checkpoint(run))
    assert_equal_runs(run, finished)


def test_a_worker_killed_while_it_learns_resumes_to_the_same_bits(
    desk: Desk, tmp_path: Path
) -> None:
    whole, broken = (desk.create(tmp_path, num_steps=40, eval_every=20) for _ in range(2))
    train(whole)
    kill_when(broken, lambda: last_checkpoint(broken) is not None)
    assert broken.state() == "interrupted"
    train(broken, checkpoint=last_checkpoint(broken))
    assert_equal_runs(broken, whole)


@pytest.mark.parametrize("training", ["sft", "on_policy"])
def test_accumulated_micro_batches_learn_what_one_batch_learns(
    desk: Desk, tmp_path: Path, training: str
) -> None:
    sizes = [{"batch_size": 4, "gradient_accumulation_steps": 1}, {}]
    whole, split = (
        desk.create(tmp_path, training=training, num_steps=2, mixed_precision=False, **size)
        for size in sizes
    )
    train(whole)
    train(split)
    left, right = adapter_of(whole), adapter_of(split)
    assert max(float(mx.abs(left[name]).max()) for name in left if name[-1] == "b") > 1e-3
    assert parted(left, right) < SAME_ADAPTER


@pytest.mark.parametrize("training", ["sft", "on_policy"])
def test_recomputed_layers_under_dropout_learn_the_same(
    desk: Desk, tmp_path: Path, training: str
) -> None:
    dropping = {"lora": {"rank": 4, "alpha": 8, "dropout": 0.3}, "training": training}
    learned = []
    for number, flag in enumerate((False, True)):
        run = desk.create(tmp_path / str(number), num_steps=2, grad_checkpoint=flag, **dropping)
        train(run)
        learned.append(adapter_of(run))
    assert parted(*learned) < SAME_ADAPTER


def test_answers_of_another_run_are_used_again_and_no_teacher_samples(
    desk: Desk, finished: RunDirectory, tmp_path: Path
) -> None:
    run = desk.create(tmp_path, generated_from=str(finished.path))
    train(run)
    assert_equal_runs(run, finished)
    phases = [e.phase for e in read_events(run.events_file) if isinstance(e, PhaseChanged)]
    assert "generating" not in phases


def test_answers_to_another_prompt_are_refused_in_words(
    desk: Desk, finished: RunDirectory, tmp_path: Path
) -> None:
    prompt = tmp_path / "other.txt"
    prompt.write_text("Say nothing.")
    values = {"generated_from": str(finished.path), "teacher_prompt": str(prompt)}
    with pytest.raises(ConfigError, match="its prompt differ"):
        train(desk.create(tmp_path, **values))


def test_a_teacher_without_a_readable_label_ends_the_run_and_keeps_the_replies(
    desk: Desk, tmp_path: Path
) -> None:
    run = desk.create(tmp_path, labels=["no such word"])
    with pytest.raises(DatasetError, match="None of the teacher's answers"):
        train(run)
    rejects = (run.path / "generated" / "rejects.jsonl").read_text().splitlines()
    assert len(rejects) == len(INPUTS) + len(HELD_OUT)
    # Two samples, each tried once more.
    assert len(json.loads(rejects[0])["replies"]) == 4
    warned = [e.code for e in read_events(run.events_file) if e.kind == "warning"]
    assert "answers_rejected" in warned


@pytest.mark.parametrize(
    ("teacher", "changes"),
    [("teacher", {}), ("student", {"rollout_reuse": 2, "loss_tokens": "auto"})],
)
def test_an_on_policy_student_moves_towards_the_teacher_that_sees_the_prompt(
    desk: Desk, tmp_path: Path, teacher: str, changes: dict[str, object]
) -> None:
    values = {
        "training": "on_policy",
        "teacher_model": str(desk.root / teacher),
        "num_steps": 8,
        "eval_every": 8,
        "checkpoint_every": 4,
        "max_answer_tokens": 4,
        **changes,
    }
    run, stopped = desk.create(tmp_path, **values), desk.create(tmp_path, **values)
    train(run)
    events = list(read_events(run.events_file))
    kls = [e.metrics["eval_reverse_kl"] for e in events if e.kind == "evaluation_finished"]
    assert kls[-1] < kls[0]
    assert [e.passed for e in events if e.kind == "self_test_finished"] == [True]
    assert_as_described(run)
    stop = StopRequest()

    def watch(event: Event) -> None:
        if event.kind == "step_finished" and event.step == 3:
            stop.set()

    with pytest.raises(StoppedError):
        train(stopped, watch, stop)
    train(stopped, checkpoint=last_checkpoint(stopped))
    left, right = adapter_of(run), adapter_of(stopped)
    assert all(mx.array_equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_every_divergence_that_is_read_can_be_trained_on(
    desk: Desk, tmp_path: Path, divergence: str
) -> None:
    values = {"training": "on_policy", "num_steps": 1, "max_answer_tokens": 4}
    run = desk.create(tmp_path, **values, divergence=divergence, teacher_weight=0.25)
    train(run)
    assert isinstance(list(read_events(run.events_file))[-1], RunFinished)
