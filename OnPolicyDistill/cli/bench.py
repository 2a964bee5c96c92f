"""`opd bench`: measured ratios, each with the promise it has to keep."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import JsonOption, print_json, print_note, print_table
from OnPolicyDistill.errors import InputError


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Which ones; else all.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each pair is measured.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes: a smoke test.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the plot.")] = Path("out"),
    json: JsonOption = False,
) -> None:
    """Measure ratios against the plain ways of doing the same; writes JSON and a plot.

    Ends with 1 when a promise is not kept; quick sizes promise nothing.
    """
    load_mlx()
    from benchmarks.suite import NAMES, PLOT_FILE, RESULTS_FILE, run_suite, summary_of

    unknown = [name for name in names or () if name not in NAMES]
    if unknown:
        raise InputError(
            f"There is no benchmark {', '.join(unknown)}.", f"There are: {', '.join(NAMES)}."
        )
    results, headlines = run_suite(names or NAMES, repeats, quick, out)
    if json:
        lines = [{**asdict(line), "holds": line.holds} for line in headlines]
        measured = {"quick": quick, "repeats": repeats, **summary_of(results)}
        print_json({**measured, "results": results, "headlines": lines})
    else:
        rows = [
            [
                line.benchmark,
                line.label,
                f"{line.median:.3f}",
                f"{line.low:.3f} - {line.high:.3f}",
                line.limit,
                "" if quick or not line.limit else ("kept" if line.holds else "BROKEN"),
            ]
            for line in headlines
        ]
        print_table(["benchmark", "ratio", "median", "range", "promise", ""], rows)
    print_note(f"Written: {out / RESULTS_FILE}, {out / PLOT_FILE}")
    if not quick and not all(line.holds for line in headlines):
        raise typer.Exit(1)
