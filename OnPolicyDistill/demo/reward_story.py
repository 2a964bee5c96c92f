"""The demonstration of GRPO: a model gets better at a task from right and wrong alone.

The embedded student writes dates in ISO form about half of the time. Eight answers to each phrase
are graded by code, equal to the right one or not, and the better ones become likelier. Nobody
shows it a right answer. A second run is the control: everything is the same, but the rewards of
each group are dealt out to its answers at random. What it gains has nothing to do with rewards.

Both are measured on dates that no setting was chosen by, and that neither trains on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.config import GrpoConfig
from OnPolicyDistill.datasets.dates import generate_dates
from OnPolicyDistill.demo.classroom import write_lines
from OnPolicyDistill.demo.preset import UNCHANGED, shipped_preset
from OnPolicyDistill.demo.story import finished, put_beside
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import RunFinished, StepFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.trainers.grpo.train import train

PRESET = "grpo/demo.yaml"
# No setting was chosen on the dates of this seed.
UNSEEN_SEED = 2027
NUM_UNSEEN = 300


class AccuracyNumbers(BaseModel):
    """Share of held-out dates that are written rightly, with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: float
    accuracy_interval: tuple[float, float]


class RewardDemoResult(BaseModel):
    """Everything the demonstration measured; `seconds` is the wall clock of both runs.

    `reward_first` and `reward_last` are the mean rewards of the first and the last third of the
    steps: each step asks eight other prompts, so that fewer steps differ by their prompts alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    seconds: float
    train_seconds: float
    before: AccuracyNumbers
    after: AccuracyNumbers
    reward_first: float
    reward_last: float
    control_run_id: str
    shuffled_control_accuracy: float


def run_reward_demo(
    workspace: Path,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    changes: Mapping[str, object] = UNCHANGED,
) -> RewardDemoResult:
    """Train the embedded student on rewards and on shuffled ones, and measure what came of it.

    `changes` replace settings of the preset's block, for a shorter run.

    Raises:
        DistillError: a run failed; its log says why.
    """
    started = time.perf_counter()
    unseen = {"validation_prompts": str(write_unseen(workspace))}
    run = create_run(workspace, reward_demo_config({**unseen, **changes}))
    train(run, observer, stop)
    shuffled = {"shuffle_rewards": True, "run_name": "demo: the same with shuffled rewards"}
    control = create_run(workspace, reward_demo_config({**unseen, **changes, **shuffled}))
    put_beside(control, run, "The control: what shuffled rewards teach.")
    train(control, None, stop)
    end = finished(run)
    rewards = [
        event.metrics["reward"]
        for event in read_events(run.events_file)
        if isinstance(event, StepFinished)
    ]
    third = max(len(rewards) // 3, 1)
    return RewardDemoResult(
        run_id=run.run_id,
        seconds=time.perf_counter() - started,
        train_seconds=end.report["train_seconds"],
        before=_numbers(end, "before"),
        after=_numbers(end, "after"),
        reward_first=fmean(rewards[:third]),
        reward_last=fmean(rewards[-third:]),
        control_run_id=control.run_id,
        shuffled_control_accuracy=_numbers(finished(control), "after").accuracy,
    )


def reward_demo_config(changes: Mapping[str, object] = UNCHANGED) -> GrpoConfig:
    """Return the shipped preset with its files by their place on this machine.

    `changes` replace settings of its block.
    """
    config = shipped_preset(PRESET, changes)
    assert isinstance(config, GrpoConfig)
    return config


def write_unseen(workspace: Path, seed: int = UNSEEN_SEED, count: int = NUM_UNSEEN) -> Path:
    """Write held-out dates of a seed of their own into a workspace."""
    workspace.mkdir(parents=True, exist_ok=True)
    file = workspace / "demo_unseen_dates.jsonl"
    examples = islice(generate_dates(seed, "held_out"), count)
    write_lines(file, ({"prompt": one.prompt, "answer": one.answer} for one in examples))
    return file


def _numbers(end: RunFinished, moment: str) -> AccuracyNumbers:
    key = f"{moment}_eval_accuracy"
    return AccuracyNumbers(accuracy=end.report[key], accuracy_interval=end.intervals[key])
