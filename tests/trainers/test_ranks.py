"""Two real processes that train one student, against one process that trains it alone."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.cli.training import trainer_of
from OnPolicyDistill.config import parse_config, settings_of
from OnPolicyDistill.distributed.launching import Places, run_ranks
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.ranks import read_ranks
from tests.grafts import write_colours, write_language, write_vision
from tests.rounding import parted
from tests.seeing_models import write_seeing_model
from tests.trainers.conftest import Classroom, write_weights
from tests.trainers.test_projector import new_run
from tests.trainers.test_vlm_distillation import Gallery, bend_words, draw, problems

# Two ranks were seen to part from one process by 4e-7 to 1.1e-6; a step that is averaged
# wrongly, or a row that is learned twice, parts them by percents.
SAME_STEP = 1e-5
PROGRAM = Path(__file__).parents[1] / "rank_program.py"
LETTERS = "def reward(completion):\n    return sum(map(str.isalpha, completion.text)) / 6\n"
SIZES = {"num_steps": 4, "eval_every": 4, "checkpoint_every": 4, "learning_rate": 0.01}
ADAPTER = {"lora": {"rank": 4, "alpha": 8}, "grad_checkpoint": False}

Make = Callable[[Path], RunDirectory]
Twins = tuple[RunDirectory, RunDirectory]


def distilled(school: Path, **settings: object) -> Make:
    def make(workspace: Path) -> RunDirectory:
        return Classroom(school).create(**{**SIZES, **settings})

    return make


def taught_in_shards(school: Path, **settings: object) -> Make:
    """The ranks' teacher is in shards; that of the process alone is whole."""

    def make(workspace: Path) -> RunDirectory:
        shards = 2 if workspace.name == "ranks" else 1
        return distilled(school, teacher_shards=shards, eval_every=2, **settings)(workspace)

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


def seeing(school: Path, **settings: object) -> Make:
    museum = school / "museum"
    if not museum.exists():
        write_seeing_model(museum / "student", "qwen3_vl")
        shutil.copytree(museum / "student", museum / "teacher")
        write_weights(museum / "teacher", bend_words)
        for seed in range(24):
            draw(museum / f"{seed}.png", seed)
    gallery = Gallery(museum)
    gallery.write_prompts("prompts.jsonl", problems(0, 9))
    gallery.write_prompts("validation.jsonl", problems(12, 6))
    return lambda workspace: gallery.create(**{**SIZES, **settings})


def grafted(school: Path, **settings: object) -> Make:
    folder = school / "graft"
    if not folder.exists():
        write_vision(folder / "vision")
        write_language(folder / "language")
        write_colours(folder, "train", repeats=2, thought="<think>\nLook.\n</think>\n\n")
        write_colours(folder, "held")
    return lambda workspace: new_run(workspace, folder, folder, **{**SIZES, **settings})


TWO_OF_TWO = {"batch_size": 2, "gradient_accumulation_steps": 2}
ONE_OF_THREE = {"batch_size": 3, "gradient_accumulation_steps": 1}
CASES: dict[str, Callable[[Path], Make]] = {
    "on_policy_accumulated": lambda s: distilled(s, **TWO_OF_TWO, checkpoint_every=2),
    "kept_rollouts_in_seven_rows": lambda s: distilled(
        s, batch_size=7, fixed_rollouts=True, on_policy_fraction=0.5
    ),
    "teacher_in_two_shards": lambda s: taught_in_shards(s, **TWO_OF_TWO),
    "teacher_in_two_shards_kept": lambda s: taught_in_shards(
        s, batch_size=3, fixed_rollouts=True, teacher_targets="top_k", top_k=8
    ),
    "teachers_own_rows": lambda s: distilled(s, batch_size=5, on_policy_fraction=0.4),
    "sft_with_a_rank_without_rows": lambda s: fine_tuned(
        s, batch_size=1, gradient_accumulation_steps=1
    ),
    "grpo_of_three_groups_and_two_updates": lambda s: rewarded(
        s, **ONE_OF_THREE, num_iterations=2, scale_rewards="batch"
    ),
    "prompt_distillation": lambda s: prompted(s, **ONE_OF_THREE),
    "prompt_distillation_scored": lambda s: prompted(s, **ONE_OF_THREE, training="on_policy"),
    # Micro-batches of other sizes round the gradient of step 1 by 1e-7 of it, and pictures are not
    # in that: the tower is frozen, and each picture goes through it alone. At the others' rate of
    # 1e-2 six seeds part by 3e-6 to 1.8e-5. Of 1.3e-5, 95 % lie in one element of one lora_a: its
    # first gradient, in step 2, is -3.4e-8 or -3.2e-8 where the root mean square is 4e-4, and
    # AdamW, which divides by that size, takes nearly as long a step as for any other. At a tenth
    # of the rate lora_b and with it such gradients are a tenth as large, which is less than
    # AdamW's epsilon of 1e-8: they hardly count, and adapters part by 3e-6.
    "vlm_distillation": lambda s: seeing(s, **ONE_OF_THREE, learning_rate=1e-3),
    "projector": lambda s: grafted(s, **ONE_OF_THREE),
    "rollouts_used_three_times": lambda s: distilled(
        s, **TWO_OF_TWO, rollout_reuse=3, loss_tokens="auto", checkpoint_every=2
    ),
}
# Its checkpoint of step 2 lies between two uses of the same rollouts.
RESUMED = "rollouts_used_three_times"


@pytest.fixture(scope="module")
def trained(
    school: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Twins], RunDirectory]:
    """Every case, trained by two ranks and by this process alone; one of these taken up by ranks.

    All in one launch, whose processes take longer to begin than to train.
    """
    twins = {}
    for name, case in CASES.items():
        make, workspace = case(school), tmp_path_factory.mktemp(name)
        twins[name] = (make(workspace / "ranks"), make(workspace / "alone"))
        alone = twins[name][1]
        trainer_of(alone.config())(alone, None, None, None)
    resumed = RunDirectory(tmp_path_factory.mktemp("resumed") / twins[RESUMED][1].run_id)
    shutil.copytree(twins[RESUMED][1].path, resumed.path, symlinks=True)
    folders = [str(ranks.path) for ranks, _ in twins.values()]
    last = twins["projector"][0]
    by_ranks(last, [f"{resumed.path}=000002", *folders])
    return twins, resumed


def by_ranks(last: RunDirectory, arguments: list[str]) -> None:
    """Let two ranks work on runs; the log of the last one says how that ended."""
    run_ranks(last, Places(2, "ring"), [sys.executable, str(PROGRAM), *arguments])


def adapter_of(run: RunDirectory) -> dict[str, mx.array]:
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None, f"{run.run_id} was never saved"
    file = next(checkpoint.glob("adapters.safetensors"), checkpoint / "projector.safetensors")
    loaded = mx.load(str(file))
    assert isinstance(loaded, dict)
    return loaded


def steps_of(run: RunDirectory) -> list[dict[str, float]]:
    return [e.metrics for e in read_events(run.events_file) if e.kind == "step_finished"]


def apart(one: RunDirectory, other: RunDirectory) -> float:
    """How far what two runs learned is apart, relative to it; of a projector, to all of it."""
    left, right = adapter_of(one), adapter_of(other)
    if any(name.endswith(".lora_a") for name in right):
        return parted(left, right)
    difference = sum(float(mx.square(left[name] - right[name]).sum().item()) for name in right)
    return (difference / sum(float(mx.square(a).sum().item()) for a in right.values())) ** 0.5


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_learn_what_one_process_learns(
    trained: tuple[dict[str, Twins], RunDirectory], case: str
) -> None:
    ranks, alone = trained[0][case]
    for ours, theirs in zip(steps_of(ranks), steps_of(alone), strict=True):
        assert ours["num_tokens"] == theirs["num_tokens"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4, abs=1e-6)
        # A rank has a cache of its own, where fewer rows come again.
        assert theirs.keys() - ours.keys() <= {"teacher_cache_hit_rate"}
    assert apart(ranks, alone) < SAME_STEP


@pytest.mark.parametrize("case", CASES)
def test_each_rank_says_what_it_did_of_the_last_step(
    trained: tuple[dict[str, Twins], RunDirectory], case: str
) -> None:
    ranks, alone = trained[0][case]
    said = read_ranks(ranks)
    assert said is not None
    assert said.step == 4
    assert [one.rank for one in said.ranks] == [0, 1]
    assert sum(one.num_rows for one in said.ranks) == settings_of(ranks.config()).rows_per_step
    if not case.startswith("grpo"):  # groups that taught nothing are counted, and not learned from
        assert sum(one.num_tokens for one in said.ranks) == steps_of(ranks)[-1]["num_tokens"]
    assert all(one.seconds > 0 and one.memory_gb > 0 for one in said.ranks)
    assert read_ranks(alone) is None


def test_ranks_take_up_what_one_process_began_and_take_the_same_steps(
    trained: tuple[dict[str, Twins], RunDirectory],
) -> None:
    twins, resumed = trained
    assert [e.step for e in read_events(resumed.events_file) if e.kind == "run_resumed"] == [2]
    assert apart(resumed, twins[RESUMED][1]) < SAME_STEP


@pytest.mark.parametrize("how", ["exit 0", "exit 1", "kill"])
def test_a_rank_that_dies_ends_the_run_in_words_with_a_checkpoint_that_resumes(
    school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    run, whole = (fine_tuned(school, **TWO_OF_TWO, checkpoint_every=100)(tmp_path) for _ in "12")
    monkeypatch.setenv("DIES", f"1:{how}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # it leaves its copy of the run
    with pytest.raises(DistillError, match="Another rank of the run is gone") as caught:
        by_ranks(run, [str(run.path)])
    assert caught.value.exit_code == 1
    saved = last_checkpoint(run)
    assert run.state() == "failed"
    assert saved is not None
    assert saved.name == "000002"

    trainer_of(run.config())(run, None, None, saved)
    trainer_of(whole.config())(whole, None, None, None)
    assert run.state() == "finished"
    assert apart(run, whole) < SAME_STEP


def test_a_first_rank_that_is_killed_leaves_the_last_checkpoint_and_a_sentence(
    school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fine_tuned(school, **TWO_OF_TWO, checkpoint_every=1)(tmp_path)
    monkeypatch.setenv("DIES", "0:kill")
    with pytest.raises(DistillError, match="ended without a word; it stands at step 1"):
        by_ranks(run, [str(run.path)])
    assert run.state() == "interrupted"
