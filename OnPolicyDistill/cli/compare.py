"""`opd compare`: variants on the same labelled items, pair by pair, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.output import JsonOption, WorkspaceOption, print_json, print_text
from OnPolicyDistill.cli.runs import open_run

if TYPE_CHECKING:
    from OnPolicyDistill.evaluation.labelled_report import SavedEvaluation


def compare(
    evaluations: Annotated[
        list[str],
        typer.Argument(
            metavar="EVALUATION...",
            help="Runs with a labelled evaluation, their report.json, or files of evaluate --out.",
        ),
    ],
    *,
    seed: Annotated[int, typer.Option(min=0, help="Where resampling starts.")] = 0,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Compare accuracies in pairs; a winner is named only outside the 95 % interval."""
    from OnPolicyDistill.evaluation.comparison import compare_variants
    from OnPolicyDistill.evaluation.labelled_report import gathered
    from OnPolicyDistill.evaluation.labelled_text import describe_comparison

    sources = {name: _opened(name, workspace) for name in evaluations}
    pairs = compare_variants(gathered(sources), seed)
    if json:
        print_json([pair.model_dump(mode="json") for pair in pairs])
        return
    for pair in pairs:
        print_text(describe_comparison(pair))


def _opened(name: str, workspace: Path | None) -> SavedEvaluation:
    from OnPolicyDistill.evaluation.labelled_report import load_evaluation

    file = Path(name).expanduser()
    return load_evaluation(file if file.is_file() else open_run(name, workspace).path)
