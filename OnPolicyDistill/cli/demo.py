"""`opd demo`: the whole story on embedded models, with numbers before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from OnPolicyDistill.cli.demo_pipeline import pipeline
from OnPolicyDistill.cli.demo_run import play, print_next
from OnPolicyDistill.cli.demo_surgery import surgery
from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_note,
    print_table,
    print_text,
)
from OnPolicyDistill.cli.starting import AnywayOption

if TYPE_CHECKING:
    from OnPolicyDistill.demo.prompt_story import PromptDemoResult
    from OnPolicyDistill.demo.reward_story import RewardDemoResult
    from OnPolicyDistill.demo.squares_story import VlmDemoResult
    from OnPolicyDistill.demo.story import DemoResult, StudentNumbers, TeacherNumbers

app = typer.Typer(cls=CommandGroup, invoke_without_command=True)
app.command("surgery")(surgery)
app.command("pipeline")(pipeline)


@app.callback()
def demo(
    context: typer.Context,
    anyway: AnywayOption = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Distil an embedded teacher into an embedded student: two minutes, no download."""
    if context.invoked_subcommand is not None:
        return
    load_mlx()
    from OnPolicyDistill.demo.story import demo_config, run_demo

    result, run = play(demo_config({}), run_demo, anyway, workspace)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        print_story(result)
        print_note(f"The run is in {run.path}, its plot is report.png there.")
        print_next(run)


@app.command("prompt-distillation")
def prompt_distillation(
    anyway: AnywayOption = False, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Teach an embedded student what a long prompt makes an embedded teacher do."""
    load_mlx()
    from OnPolicyDistill.demo.prompt_story import prompt_demo_config, run_prompt_demo

    result, run = play(prompt_demo_config(), run_prompt_demo, anyway, workspace)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        print_variants(result)
        print_note(f"The run is in {run.path}, answers and rejects in its folder generated.")


@app.command("grpo")
def grpo(
    anyway: AnywayOption = False, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Teach an embedded student by right and wrong alone, beside a run of shuffled rewards."""
    load_mlx()
    from OnPolicyDistill.demo.reward_story import reward_demo_config, run_reward_demo

    result, run = play(reward_demo_config(), run_reward_demo, anyway, workspace)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        print_rewarded(result)
        print_note(f"The run is in {run.path}, its plot is report.png there.")


def print_rewarded(result: RewardDemoResult) -> None:
    """Accuracy before and after on unseen dates, beside the control's, and the rewards' way."""
    from OnPolicyDistill.runs.wording import format_interval

    before, after = result.before, result.after
    said = [format_interval("eval_accuracy", one.accuracy_interval) for one in (before, after)]
    print_text("")
    print_table(
        ["unseen dates", "before", "after", "after, with shuffled rewards"],
        [
            [
                "accuracy",
                _share(before.accuracy),
                _share(after.accuracy),
                _share(result.shuffled_control_accuracy),
            ],
            ["95 % interval", *said, ""],
        ],
    )
    print_text("")
    print_text(
        f"The mean reward rose from {result.reward_first:.2f} to {result.reward_last:.2f} in "
        f"{result.train_seconds:.0f} s of training ({result.seconds:.0f} s in all). No right "
        "answer was shown."
    )


@app.command("vlm")
def vlm(
    anyway: AnywayOption = False, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Teach an embedded student that sees to compute with what it sees."""
    load_mlx()
    from OnPolicyDistill.demo.squares_story import run_vlm_demo, vlm_demo_config

    result, _ = play(vlm_demo_config(), run_vlm_demo, anyway, workspace)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        print_vlm_story(result)


def print_vlm_story(result: VlmDemoResult) -> None:
    """Before and after on held-out pictures, and where pictures and answers can be looked at."""
    from OnPolicyDistill.demo.squares_story import summary_of

    head, *rows = summary_of(result)
    print_text("")
    print_table(head, rows)
    print_text("In brackets: 95 % intervals over the prompts.")
    fallen = 1 - result.after.reverse_kl / result.before.reverse_kl
    print_text("")
    print_text(f"Reverse KL fell by {_share(fallen)} in {result.train_seconds:.0f} s of training.")
    print_text(f"Proof of learning: {'passed' if result.proof_passed else 'FAILED'}.")
    print_text(f"Pictures with the answers to them: {result.page_path}")


def print_variants(result: PromptDemoResult) -> None:
    """Four ways to answer side by side, and how much faster the last one is."""
    variants = {
        "teacher + prompt": result.teacher_with_prompt,
        "student + prompt": result.student_with_prompt,
        "student before": result.student_before,
        "student after": result.student_after,
    }
    rows = [
        [
            name,
            _share(numbers.accuracy),
            _share(numbers.macro_f1),
            _share(numbers.parse_rate),
            f"{numbers.tokens_per_answer:.1f}",
            f"{1000 * numbers.seconds_per_answer:.1f}",
        ]
        for name, numbers in variants.items()
    ]
    head = ["held-out texts", "accuracy", "macro F1", "readable", "tokens", "ms an answer"]
    print_text("")
    print_table(head, rows)
    print_text("")
    print_text(
        f"Without the prompt the student answers {result.speed_up:.0f} times faster than the "
        f"teacher with it ({result.seconds:.0f} s in all)."
    )


def print_story(result: DemoResult) -> None:
    """Before and after on held-out prompts, and what proves them."""
    before, after, teacher = result.before, result.after, result.teacher
    kls = [f"{numbers.reverse_kl:.4f}" for numbers in (before, after)]
    print_text("")
    print_table(
        ["held-out prompts", "student before", "student after", "teacher"],
        [
            ["task accuracy", *(_share(numbers.accuracy) for numbers in (before, after, teacher))],
            _intervals("accuracy", before, after, teacher),
            ["agreement with the teacher", _share(before.agreement), _share(after.agreement), ""],
            _intervals("agreement", before, after),
            ["reverse KL (nats/token)", *kls, ""],
            _intervals("reverse_kl", before, after),
        ],
    )
    print_text("Second lines: 95 % intervals over the prompts.")
    fallen = 1 - after.reverse_kl / before.reverse_kl
    cache = result.cache
    print_text("")
    print_text(f"Reverse KL fell by {_share(fallen)} in {result.train_seconds:.0f} s of training.")
    print_text(
        "In a second run with one completion a prompt, the teacher takes "
        f"{_share(cache.cold_teacher_share)} of a step at first and "
        f"{_share(cache.warm_teacher_share)} once its scores are in the cache."
    )
    print_text(f"Proof of learning: {'passed' if result.proof_passed else 'FAILED'}.")
    print_text(f"Adapter that is exported: {result.adapter_path}")


def _intervals(name: str, *measured: StudentNumbers | TeacherNumbers) -> list[str]:
    """The line below a figure's: its interval for each who has one."""
    from OnPolicyDistill.runs.wording import format_interval

    bounds = [one.model_dump()[f"{name}_interval"] for one in measured]
    said = [format_interval(f"eval_{name}", interval) for interval in bounds]
    return ["", *said, *[""] * (3 - len(said))]


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
