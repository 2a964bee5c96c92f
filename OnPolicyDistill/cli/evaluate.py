"""`opd evaluate`: let models answer labelled items and count what they get right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    print_json,
    print_note,
    print_text,
)
from OnPolicyDistill.cli.plan import AssignmentsOption
from OnPolicyDistill.cli.run_lines import typed
from OnPolicyDistill.cli.runs import open_run
from OnPolicyDistill.errors import InputError, StoppedError

if TYPE_CHECKING:
    from OnPolicyDistill.config import RunConfig
    from OnPolicyDistill.runs.directory import RunDirectory
    from OnPolicyDistill.runs.events import Event
    from OnPolicyDistill.settings.sight import SightSettings


@dataclass(frozen=True, slots=True)
class Answerer:
    """The one variant that options describe; `sight` is how large its run reads pictures."""

    model: str | None
    adapter: Path | None
    prompt: Path | None
    max_answer_tokens: int | None
    sight: SightSettings | None = None


def evaluate(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="YAML file of method evaluation.")
    ] = None,
    *,
    model: Annotated[str | None, typer.Option(help="Alias, hub id or folder.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of an adapter.")] = None,
    run: Annotated[str | None, typer.Option(help="A run's student with its best adapter.")] = None,
    prompt: Annotated[Path | None, typer.Option(help="Text file with a system prompt.")] = None,
    inputs: Annotated[Path | None, typer.Option(help="Labelled items: text, JSONL or CSV.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Labels to tell apart, with commas between; else those of the items."),
    ] = None,
    max_samples: Annotated[int | None, typer.Option(min=1, help="At most so many items.")] = None,
    max_answer_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer, thinking included.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Save report and answers here, a heat map beside it.")
    ] = None,
    assignments: AssignmentsOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Evaluate a config's variants, or one model, on labelled items; it becomes a run."""
    from OnPolicyDistill.runs.directory import create_run

    answerer = Answerer(model, adapter, prompt, max_answer_tokens)
    variants: list[str] = []
    if config is None:
        answerer = answerer if run is None else _of_run(answerer, open_run(run, workspace))
        variants = [f"variants={_variants(answerer, run)}", *_limits(answerer)]
    elif model or adapter or run or prompt or max_answer_tokens:
        raise InputError("The config names the variants.", "Give it or --model, not both.")
    given = {
        "inputs": None if inputs is None else _quoted(str(inputs)),
        "labels": None if labels is None else _quoted(labels.split(",")),
        "max_samples": None if max_samples is None else str(max_samples),
    }
    settings = _settled(
        config,
        [
            *variants,
            *(f"{key}={value}" for key, value in given.items() if value is not None),
            *(assignments or ()),
        ],
    )
    made = create_run(workspace or default_workspace(), settings)
    _work_on(made)
    _tell(made, out, json)


def _settled(config: Path | None, assignments: Sequence[str]) -> RunConfig:
    from OnPolicyDistill.cli.check import refuse_what_cannot_work
    from OnPolicyDistill.cli.settings import Given, load_settings

    settings = load_settings(config, Given({}, assignments), "evaluation")
    if settings.method != "evaluation":
        raise InputError(f"{config} is no evaluation.", "Start it with: opd train.")
    for warning in refuse_what_cannot_work(settings, default_workspace()):
        print_note(f"Warning: {warning}")
    return settings


def _of_run(named: Answerer, run: RunDirectory) -> Answerer:
    from OnPolicyDistill.cli.generate import Cast, roles_of

    cast = roles_of(Cast(named.model, named.adapter, None), run)
    return Answerer(cast.student, cast.adapter, named.prompt, named.max_answer_tokens, cast.sight)


def _limits(answerer: Answerer) -> list[str]:
    """The limits of pictures as settings: a model is asked as it was trained."""
    from OnPolicyDistill.planning.sight import own_limits, sight_of_model

    assert answerer.model is not None
    if sight_of_model(answerer.model) is None:
        return []
    sight = answerer.sight or own_limits(answerer.model)
    return [f"min_pixels={sight.min_pixels}", f"max_pixels={sight.max_pixels}"]


def _variants(answerer: Answerer, run: str | None) -> str:
    """The one variant as a setting."""
    if answerer.model is None:
        raise InputError("No model is named.", "Give a config, --model or --run.")
    name = run or Path(answerer.model).name
    values: dict[str, object] = {"name": name[:80], "model": answerer.model}
    values |= {
        key: str(path.expanduser().resolve())
        for key, path in (("adapter", answerer.adapter), ("prompt", answerer.prompt))
        if path is not None
    }
    if answerer.max_answer_tokens is not None:
        values["max_answer_tokens"] = answerer.max_answer_tokens
    return _quoted([values])


def _quoted(value: object) -> str:
    """A value as JSON, which YAML reads as it is."""
    import json

    return json.dumps(value)


def _work_on(run: RunDirectory) -> None:
    from OnPolicyDistill.runs.reporting import StopRequest

    stop = StopRequest()
    print_note(f"Run {run.run_id} in {run.path}")
    with stop.on_signals():
        load_mlx()
        from OnPolicyDistill.evaluation.labelled_run import evaluate_run
        from OnPolicyDistill.runs.called import called

        try:
            evaluate_run(run, _say, stop)
        except StoppedError as error:
            message = f"Run {called(run)} is paused; its answers are kept."
            raise StoppedError(message, f"Go on with: opd resume {typed(run)}") from error


def _say(event: Event) -> None:
    """One line an answer."""
    from OnPolicyDistill.runs.events import PhaseChanged

    if isinstance(event, PhaseChanged):
        place = "" if event.done is None else f"{event.done}/{event.total} "
        print_note(f"{place}{event.detail}")


def _tell(run: RunDirectory, out: Path | None, json: bool) -> None:
    from OnPolicyDistill.evaluation.confusion_plot import plot_confusions
    from OnPolicyDistill.evaluation.labelled_report import load_evaluation, save_evaluation
    from OnPolicyDistill.evaluation.labelled_text import describe_evaluation
    from OnPolicyDistill.evaluation.report import write_report

    write_report(run)
    saved = load_evaluation(run.path)
    if out is not None:
        save_evaluation(out, saved)
        if any(variant.num_graded for variant in saved.report.variants):
            plot_confusions(saved.report.variants, out.with_suffix(".png"))
    if json:
        print_json(saved.report.model_dump(mode="json"))
    else:
        print_text(describe_evaluation(saved.report))
        print_note(f"Answers, report and heat map are in {run.path}")
