"""`opd plan`: whether a run fits and how long it takes, before anything is loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    print_json,
    print_table,
    print_text,
)
from OnPolicyDistill.errors import InputError

if TYPE_CHECKING:
    from OnPolicyDistill.config import RunConfig
    from OnPolicyDistill.planning.advice import Verdict
    from OnPolicyDistill.planning.plan import Plan
    from OnPolicyDistill.planning.ranks import SeveralPlan

MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(?:gb|gib|g)?", re.IGNORECASE)
VERDICTS = {"fits": "fits", "tight": "is tight", "does_not_fit": "does not fit"}

AssignmentsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting, e.g. lora.rank=8."),
]


def plan(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file or preset.")],
    *,
    memory: Annotated[
        str | None, typer.Option(help="Memory of the machine, e.g. 128GB; else this one's.")
    ] = None,
    chip: Annotated[
        str | None, typer.Option(help="Chip of the machine, e.g. m3-ultra; else this one's.")
    ] = None,
    hosts: Annotated[
        Path | None, typer.Option(help="JSON file of hosts: what one, two, four and all gain.")
    ] = None,
    assignments: AssignmentsOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Forecast memory by part and time by phase, and say what to change if it does not fit.

    Ends with 2 when it does not fit.
    """
    from OnPolicyDistill.cli.settings import Given, load_settings
    from OnPolicyDistill.planning.plan import plan_run

    settings = load_settings(config, Given({}, assignments or ()))
    if hosts is not None:
        if memory is not None or chip is not None:
            raise InputError(
                "--hosts says what machines there are.",
                "Put chip and memory_gb into the file, and leave --chip and --memory out.",
            )
        verdict = plan_hosts(settings, hosts, workspace or default_workspace(), json)
        raise typer.Exit(2 if verdict == "does_not_fit" else 0)
    memory_gb = None if memory is None else parse_memory(memory)
    result = plan_run(settings, memory_gb, chip, workspace or default_workspace())
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        print_plan(result)
    if result.verdict == "does_not_fit":
        raise typer.Exit(2)


def plan_hosts(config: RunConfig, file: Path, workspace: Path, json: bool) -> Verdict:
    """Print what a run is on the machines of a file of hosts; returns whether it fits on all.

    Raises:
        InputError: the file cannot be used, or the run trains nothing.
    """
    from OnPolicyDistill.distributed.hosts import parse_hosts
    from OnPolicyDistill.planning.ranks import plan_several

    if config.method == "evaluation":
        raise InputError("An evaluation is one process's work.", "Leave --hosts out.")
    machines = [host.machine for host in parse_hosts(file).hosts]
    found = plan_several(config, machines, workspace)
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        print_several(found)
    return found.of_all_hosts.verdict


def print_several(plan: SeveralPlan) -> None:
    """Print what each number of machines gains, and each rank of all of them."""
    from OnPolicyDistill.runs.wording import format_seconds

    print_table(
        ["hosts", "a step", "of it the link", "the run", "times as fast", "it"],
        [
            [
                str(one.num_ranks),
                f"{one.step_seconds:.2f} s",
                f"{one.waiting_seconds:.2f} s",
                format_seconds(one.seconds),
                f"{one.gain:.2f}",
                VERDICTS[one.verdict],
            ]
            for one in plan.counts
        ],
    )
    print_text("")
    print_table(
        ["rank", "chip", "prompts a step", "its share", "needs GB", "may use GB"],
        [
            [
                one.host,
                one.chip,
                str(one.num_prompts),
                f"{one.seconds:.2f} s",
                f"{one.needed_gb:.1f}",
                f"{one.limit_gb:.1f}",
            ]
            for one in plan.of_all_hosts.ranks
        ],
    )
    print_text(
        f"A step adds up {plan.summed_mb:.1f} MB over {plan.mb_per_second:.0f} MB/s, "
        f"{plan.round_trip_ms:g} ms there and back."
    )
    for note in plan.notes:
        print_text(f"Note: {note}")


def parse_memory(text: str) -> float:
    """Return GB from 128GB, 128 or 96.5 gb.

    Raises:
        InputError: it is no amount of memory.
    """
    match = MEMORY.fullmatch(text.strip())
    if match is None or float(match.group(1)) <= 0:
        raise InputError(f"{text} is no amount of memory.", "Write it as 128GB.")
    return float(match.group(1))


def print_plan(plan: Plan) -> None:
    """Print verdict, parts, times, warnings and advice."""
    from OnPolicyDistill.runs.wording import describe_pace, format_seconds

    print_text(
        f"It {VERDICTS[plan.verdict]}: needs {plan.needed_gb:.1f} GB of the {plan.limit_gb:.1f} GB "
        f"that a run may use of {plan.memory_gb:g} GB ({plan.chip}); highest in: {plan.peak_phase}."
    )
    print_text("")
    print_table(
        ["memory", "GB"],
        [[name.replace("_", " "), f"{gb:.2f}"] for name, gb in plan.parts.items() if gb >= 0.005],
    )
    print_text("")
    step = plan.step
    parts = {"sampling": step.sampling, "scoring": step.scoring, "learning": step.learning}
    pace = describe_pace(step.total).replace("About ", "").replace("A step", "a step")
    print_table(
        ["a step", "seconds"],
        [
            *([name, f"{seconds:.2f}"] for name, seconds in parts.items() if seconds),
            ["total", f"{step.total:.2f} ({pace})"],
        ],
    )
    print_text(
        f"The run of {plan.num_steps} steps: {format_seconds(plan.seconds)}, between "
        f"{format_seconds(plan.seconds_low)} and {format_seconds(plan.seconds_high)}."
    )
    if plan.teacher_disk_gb is not None:
        print_text(f"On disk: {plan.teacher_disk_gb:.2f} GB of what the teacher says.")
    for warning in plan.warnings:
        print_text(f"Warning: {warning}")
    for advice in plan.advice:
        changes = " ".join(f"--set {key}={value}" for key, value in advice.changes.items())
        verdict = VERDICTS[advice.verdict]
        print_text(f"Or: {advice.message} Then it {verdict} ({advice.needed_gb:.1f} GB): {changes}")
    for assumption in plan.assumptions:
        print_text(f"Note: {assumption}")
