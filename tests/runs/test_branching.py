"""A run that begins at another's checkpoint, and the other, which stays as it is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.runs.annotations import Annotations, read_annotations, write_annotations
from OnPolicyDistill.runs.branching import branch, goes_on_in_place
from OnPolicyDistill.runs.checkpoints import (
    TrainingState,
    list_checkpoints,
    point,
    pointed,
    save_checkpoint,
)
from OnPolicyDistill.runs.directory import RunDirectory, create_run, list_runs
from OnPolicyDistill.runs.events import (
    CheckpointSaved,
    EvaluationFinished,
    RolloutSampled,
    RunFinished,
    RunPaused,
    RunStarted,
    StepFinished,
)
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import EventWriter, read_events
from OnPolicyDistill.runs.prompt_values import PromptValues, read_values, write_values
from OnPolicyDistill.runs.reporting import describe_machine
from OnPolicyDistill.settings.distillation import DistillationSettings


def _arrays(folder: Path) -> None:
    (folder / "adapters.safetensors").write_bytes(b"arrays")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A finished run of three steps, of which the second is the best."""
    settings = DistillationSettings(num_steps=3, run_name="the one")
    made = create_run(tmp_path, OnPolicyConfig(distillation=settings))
    values = PromptValues(prompts=(0,), tokens=(1,), token_sums={})
    with made.rollouts_file.open("wb") as rollouts, closing(EventWriter(made.events_file)) as log:
        log.write(
            RunStarted(
                run_id=made.run_id,
                method="on_policy",
                num_steps=3,
                config_hash="a",
                machine=describe_machine(),
            )
        )
        for step in (1, 2, 3):
            sampled = RolloutSampled(
                step=step, offset=rollouts.tell(), prompt="p", completion="c", num_tokens=1
            )
            rollouts.write(f'{{"step": {step}}}\n'.encode())
            log.write(sampled)
            log.write(StepFinished(step=step, metrics={"loss": 1 / step}))
            log.write(EvaluationFinished(step=step, metrics={}, is_best=step <= 2))
            write_values(made, step, values)
            best = min(step, 2)
            state = TrainingState(
                step=step, config_hash="a", seed=0, data_cursor=0, num_tokens=0, best_step=best
            )
            saved = save_checkpoint(made, state, _arrays)
            if step == best:
                point(made, "best", saved)
            log.write(CheckpointSaved(step=step, path=str(saved), num_bytes=1))
        log.write(RunFinished(step=3, because="completed", report={}))
    return made


def contents_of(run: RunDirectory) -> dict[str, bytes]:
    files = (path for path in run.path.rglob("*") if path.is_file())
    return {str(path.relative_to(run.path)): path.read_bytes() for path in files}


def test_a_branch_is_what_the_run_was_at_its_checkpoint(run: RunDirectory) -> None:
    kept = contents_of(run)
    made = branch(run, run.checkpoints / "000002")
    assert contents_of(run) == kept
    assert made.run_id != run.run_id
    assert made.state() == "paused"
    assert [path.name for path in list_checkpoints(made)] == ["000002"]
    assert pointed(made, "best") == pointed(made, "last") == made.checkpoints / "000002"
    history = fold(read_events(made.events_file))
    assert history.started is not None
    assert history.started.run_id == made.run_id
    assert [event.step for event in history.steps] == [1, 2]
    assert [event.step for event in history.evaluations] == [1, 2]
    assert isinstance(history.end, RunPaused)
    assert run.run_id in history.end.reason
    assert made.rollouts_file.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert read_values(made, 2).prompts == (0,)
    with pytest.raises(RunError):
        read_values(made, 3)
    assert made.config() == run.config()


def test_a_branch_before_the_best_has_the_best_until_then(run: RunDirectory) -> None:
    made = branch(run, run.checkpoints / "000001")
    assert pointed(made, "best") == made.checkpoints / "000001"
    behind = branch(run, run.checkpoints / "000003")
    assert [path.name for path in list_checkpoints(behind)] == ["000002", "000003"]
    assert pointed(behind, "best") == behind.checkpoints / "000002"


def test_a_branch_is_called_by_where_it_comes_from(run: RunDirectory) -> None:
    write_annotations(run, Annotations(tags=("mine",), note="private words"))
    told = read_annotations(branch(run, run.checkpoints / "000002"))
    assert told.name == "the one from step 2"
    assert told.tags == ("mine",)
    write_annotations(run, Annotations(name="n" * 120))
    assert len(read_annotations(branch(run, run.checkpoints / "000002")).name or "") == 120


def test_only_the_newest_checkpoint_of_an_unfinished_run_is_gone_on_from_in_place(
    run: RunDirectory,
) -> None:
    assert not goes_on_in_place(run, run.checkpoints / "000003"), "it is finished"
    with closing(EventWriter(run.events_file)) as log:
        log.write(RunPaused(step=3))
    assert goes_on_in_place(run, run.checkpoints / "000003")
    assert not goes_on_in_place(run, run.checkpoints / "000002")


def test_a_branch_that_fails_leaves_nothing(run: RunDirectory, tmp_path: Path) -> None:
    state = TrainingState(step=9, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
    untold = save_checkpoint(run, state, _arrays)
    with pytest.raises(RunError, match="does not tell of a checkpoint at step 9"):
        branch(run, untold)
    (run.path / "evaluations" / "000001.json").unlink()
    (run.path / "evaluations" / "000001.json").symlink_to("nowhere")
    with pytest.raises(OSError, match="000001"):
        branch(run, run.checkpoints / "000002")
    assert list_runs(tmp_path) == [run]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.path.name]
