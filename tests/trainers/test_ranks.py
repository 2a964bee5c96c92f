"""Two real processes that train one student, against one process that trains it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.cli.training import trainer_of
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.distributed.launching import _free_ports as free_ports
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.log import read_events
from tests.rounding import parted
from tests.trainers.conftest import Classroom

# Two ranks were seen to part from one process by 4e-7 to 1.1e-6; a step that is averaged
# wrongly, or a row that is learned twice, parts them by percents.
SAME_STEP = 1e-5
PROGRAM = Path(__file__).parents[1] / "rank_program.py"
LETTERS = "def reward(completion):\n    return sum(map(str.isalpha, completion.text)) / 6\n"
SIZES = {"num_steps": 4, "eval_every": 2, "checkpoint_every": 2, "learning_rate": 0.01}
ADAPTER = {"lora": {"rank": 4, "alpha": 8}, "grad_checkpoint": False}

Make = Callable[[Path], RunDirectory]
Twins = tuple[RunDirectory, RunDirectory]


def distilled(school: Path, **settings: object) -> Make:
    def make(workspace: Path) -> RunDirectory:
        return Classroom(school).create(**{**SIZES, **settings})

    return make


def fine_tuned(school: Path, **settings: object) -> Make:
    file = school / "conversations.jsonl"
    pairs = [(f"the {i} of March", f"0{i}-03 half past {i}" * (i % 3 + 1)) for i in range(8)]
    lines = [{"prompt": prompt, "completion": answer} for prompt, answer in pairs]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = {"conversations": str(file), "validation_conversations": str(file)}
    values = {"model": str(school / "student"), **files, **SIZES, **ADAPTER, **settings}
    return lambda workspace: create_run(workspace, parse_config({"sft": values}))


def rewarded(school: Path, **settings: object) -> Make:
    reward = school / "mine.py"
    reward.write_text(LETTERS, encoding="utf-8")
    values = {
        "model": str(school / "student"),
        "prompts": str(school / "prompts.jsonl"),
        "validation_prompts": str(school / "validation.jsonl"),
        "rewards": [{"kind": "python", "file": str(reward)}],
        "num_completions": 4,
        "max_generation_tokens": 8,
        **SIZES,
        **ADAPTER,
        **settings,
    }
    return lambda workspace: create_run(workspace, parse_config({"grpo": values}))


def prompted(school: Path, **settings: object) -> Make:
    (school / "prompt.txt").write_text("Say what time it is, in one word. " * 3)
    (school / "inputs.txt").write_text("\n".join(f"half past {i}" for i in range(7)))
    (school / "held_out.txt").write_text("noon\nmidnight")
    values = {
        "teacher_model": str(school / "teacher"),
        "student_model": str(school / "student"),
        "teacher_prompt": str(school / "prompt.txt"),
        "inputs": str(school / "inputs.txt"),
        "validation_inputs": str(school / "held_out.txt"),
        "acceptance": "first",
        "max_thinking_tokens": 6,
        "max_answer_tokens": 6,
        **SIZES,
        **ADAPTER,
        **settings,
    }
    return lambda workspace: create_run(workspace, parse_config({"prompt_distillation": values}))


CASES: dict[str, Callable[[Path], Make]] = {
    "on_policy_accumulated": lambda s: distilled(s, batch_size=2, gradient_accumulation_steps=2),
    "on_policy_of_seven_rows": lambda s: distilled(s, batch_size=7),
    "kept_rollouts": lambda s: distilled(
        s, batch_size=3, fixed_rollouts=True, on_policy_fraction=0.5, num_steps=8
    ),
    "teachers_own_rows": lambda s: distilled(s, batch_size=3, on_policy_fraction=0.5, num_steps=8),
    "unloaded_teacher": lambda s: distilled(s, keep_teacher_loaded=False),
    "a_rank_without_rows": lambda s: distilled(s, batch_size=1),
    "sft": lambda s: fine_tuned(s, batch_size=2, gradient_accumulation_steps=2),
    "grpo": lambda s: rewarded(s, batch_size=2, gradient_accumulation_steps=2),
    "grpo_of_three_groups": lambda s: rewarded(
        s, batch_size=3, gradient_accumulation_steps=1, num_iterations=2, scale_rewards="batch"
    ),
    "prompt_distillation": lambda s: prompted(s, batch_size=3, gradient_accumulation_steps=1),
    "prompt_distillation_scored": lambda s: prompted(
        s, batch_size=3, gradient_accumulation_steps=1, training="on_policy"
    ),
}


@pytest.fixture(scope="module")
def trained(school: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twins]:
    """Every case, trained by two ranks and by this process alone."""
    twins = {}
    for name, case in CASES.items():
        make = case(school)
        workspace = tmp_path_factory.mktemp(name)
        twins[name] = (make(workspace / "ranks"), make(workspace / "alone"))
    by_ranks([str(pair[0].path) for pair in twins.values()])
    for _, alone in twins.values():
        trainer_of(alone.config())(alone, None, None, None)
    return twins


def by_ranks(arguments: list[str]) -> None:
    launcher = str(Path(sys.executable).with_name("mlx.launch"))
    options = ["-n", "2", "--backend", "ring", "--starting-port", str(free_ports(2))]
    command = [launcher, *options, "--", sys.executable, str(PROGRAM), *arguments]
    root = PROGRAM.parents[1]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=root, env=with_root(root)) as ranks:
        ranks.wait(timeout=300)


def with_root(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}


def adapter_of(run: RunDirectory) -> dict[str, mx.array]:
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None, f"{run.run_id} was never saved"
    loaded = mx.load(str(checkpoint / "adapters.safetensors"))
    assert isinstance(loaded, dict)
    return loaded


def steps_of(run: RunDirectory) -> list[dict[str, float]]:
    return [e.metrics for e in read_events(run.events_file) if e.kind == "step_finished"]


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_learn_what_one_process_learns(trained: dict[str, Twins], case: str) -> None:
    ranks, alone = trained[case]
    for ours, theirs in zip(steps_of(ranks), steps_of(alone), strict=True):
        assert ours["num_tokens"] == theirs["num_tokens"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4, abs=1e-6)
        # A rank has a cache of its own, where fewer rows come again.
        assert theirs.keys() - ours.keys() <= {"teacher_cache_hit_rate"}
    assert parted(adapter_of(ranks), adapter_of(alone)) < SAME_STEP
