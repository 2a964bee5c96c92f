"""Whatever ends a run is in its log with a cause, and is raised again, in every trainer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.evaluation.labelled_run import evaluate_run
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event, RunFailed, RunPaused
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Reporter, reported
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.trainers import on_policy, sft
from OnPolicyDistill.trainers.grpo import train as grpo
from OnPolicyDistill.trainers.prompt_distillation import train as prompt_distillation

STEPS = {
    "num_steps": 2,
    "batch_size": 2,
    "gradient_accumulation_steps": 1,
    "grad_checkpoint": False,
    "lora": {"rank": 2},
}


class PanicException(BaseException):
    """As a library in Rust raises it: no Exception, so that nobody catches it by the way."""


@pytest.fixture
def files(school: Path, tmp_path: Path) -> Path:
    """Models, and every file that any method reads."""
    for name in ("student", "teacher"):
        (tmp_path / name).symlink_to(school / name)
    for name in ("prompts.jsonl", "validation.jsonl"):
        shutil.copy(school / name, tmp_path / name)
    turns = [{"role": "user", "content": "half past six"}, {"role": "assistant", "content": "six"}]
    (tmp_path / "turns.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    (tmp_path / "inputs.txt").write_text("the third\nthe fourth\n")
    (tmp_path / "items.jsonl").write_text('{"text": "half past six", "label": "a"}\n')
    (tmp_path / "mine.py").write_text("def reward(completion):\n    return len(completion.text)\n")
    (tmp_path / "prompt.txt").write_text("Name the date.")
    return tmp_path


def block_of(method: str, files: Path) -> dict[str, object]:
    pair = {"student_model": str(files / "student"), "teacher_model": str(files / "teacher")}
    prompts = {"prompts": "prompts.jsonl", "validation_prompts": "validation.jsonl"}
    inputs = {"inputs": "inputs.txt", "validation_inputs": "items.jsonl"}
    named = {name: str(files / file) for name, file in (prompts | inputs).items()}
    if method == "on_policy":
        chosen = {key: named[key] for key in prompts}
        return {**STEPS, **pair, **chosen, "max_generation_tokens": 4}
    if method == "grpo":
        chosen = {key: named[key] for key in prompts}
        rewards = [{"kind": "python", "file": str(files / "mine.py")}]
        lengths = {"max_generation_tokens": 4, "num_completions": 2}
        model = {"model": str(files / "student")}
        return {**STEPS, **model, **chosen, **lengths, "rewards": rewards}
    if method == "sft":
        model, file = str(files / "student"), str(files / "turns.jsonl")
        return {**STEPS, "model": model, "conversations": file}
    if method == "prompt_distillation":
        chosen = {key: named[key] for key in inputs}
        chosen["teacher_prompt"] = str(files / "prompt.txt")
        lengths = {"max_thinking_tokens": 4, "max_answer_tokens": 4}
        return {**STEPS, **pair, **chosen, **lengths, "training": "on_policy"}
    variant = {"name": "v", "model": str(files / "student"), "max_answer_tokens": 2}
    return {"variants": [variant], "inputs": str(files / "items.jsonl")}


METHODS = {
    "on_policy": ("distillation", on_policy.train),
    "sft": ("sft", sft.train),
    "prompt_distillation": ("prompt_distillation", prompt_distillation.train),
    "grpo": ("grpo", grpo.train),
    "evaluation": ("evaluation", evaluate_run),
}


def is_start(event: Event) -> bool:
    return event.kind == "run_started"


def fail(
    method: str, files: Path, error: BaseException, is_moment: Callable[[Event], bool]
) -> tuple[RunDirectory, Event]:
    """Run a method until a fault is thrown into it at a moment; returns the log's last event."""
    block, train = METHODS[method]
    run = create_run(files, parse_config({block: block_of(method, files)}))

    def throw(event: Event) -> None:
        if is_moment(event):
            raise error

    with pytest.raises(type(error)) as caught:
        train(run, throw)
    assert caught.value is error
    return run, list(read_events(run.events_file))[-1]


def invalid() -> ValueError:
    with pytest.raises(ValueError, match="rank") as caught:
        OptimizerSettings.model_validate({"rank": 2})
    return caught.value


FAULTS: list[tuple[BaseException, str]] = [
    (invalid(), "unexpected"),
    (RuntimeError("an array of the wrong shape"), "unexpected"),
    (MemoryError("std::bad_alloc"), "memory"),
    (PermissionError(13, "Permission denied", "somewhere"), "system"),
    (KeyError("model.norm"), "unexpected"),
    (PanicException("index out of bounds"), "unexpected"),
    (SystemExit(1), "exited"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("error", "code"), FAULTS)
def test_any_exception_ends_the_log_with_its_cause_and_is_raised_again(
    files: Path, method: str, error: BaseException, code: str
) -> None:
    run, last = fail(method, files, error, is_start)
    assert isinstance(last, RunFailed)
    assert last.code == code
    assert last.message
    assert last.action
    assert run.state() == "failed"


@pytest.mark.parametrize("method", METHODS)
def test_a_fault_in_the_middle_of_the_work_is_told_at_its_step(files: Path, method: str) -> None:
    middle = "evaluation_finished" if method == "evaluation" else "step_finished"
    run, last = fail(method, files, TypeError("odd"), lambda event: event.kind == middle)
    assert isinstance(last, RunFailed)
    assert (last.step, last.code) == (1, "unexpected")
    assert "TypeError: odd" in last.message
    assert run.worker() is None


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_at_once_is_a_pause_that_says_what_it_costs(files: Path, method: str) -> None:
    run, last = fail(method, files, KeyboardInterrupt(), is_start)
    assert isinstance(last, RunPaused)
    assert "interrupted at once" in last.reason
    assert run.state() == "paused"


def test_what_ended_the_run_is_raised_where_the_log_cannot_be_written_either(files: Path) -> None:
    run = create_run(files, parse_config({"sft": block_of("sft", files)}))

    def refuse(_event: Event) -> None:
        raise OSError(5, "Input/output error")

    reporter = Reporter(run, refuse)
    with pytest.raises(KeyError, match="first"), reported(reporter):
        raise KeyError("first")
