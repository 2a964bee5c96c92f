"""`opd data causal`, `causal-published` and `baselines`: the causal task and what it gives away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from OnPolicyDistill.cli.output import JsonOption, count_of, print_json, print_note, print_table

LevelOption = Annotated[
    Literal["easy", "full"],
    typer.Option(help="easy: three to five variables, called by letters, in one wording."),
]


def causal(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    *,
    train: Annotated[int, typer.Option(min=0, help="Prompts to train on.")] = 2000,
    validation: Annotated[int, typer.Option(min=0, help="Prompts to choose settings by.")] = 200,
    test: Annotated[int, typer.Option(min=0, help="Prompts to report.")] = 400,
    seed: Annotated[int, typer.Option(help="Which ones are drawn.")] = 0,
    level: LevelOption = "full",
    thinking: Annotated[
        bool, typer.Option("--thinking", help="Completions derive their answer in <think>.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a reasoning task: independent or not, by a small causal graph told in words.

    No graph is in two of the three files, whatever its variables are called.
    """
    from OnPolicyDistill.datasets.causal_graphs import Split
    from OnPolicyDistill.datasets.causal_sets import LEVELS, write_causal

    sizes: dict[Split, int] = {"train": train, "validation": validation, "test": test}
    files = write_causal(out, sizes, LEVELS[level], seed, thinking)
    if json:
        facts: dict[str, object] = {"train": train, "validation": validation, "test": test}
        print_json(facts | {"files": {split: str(file) for split, file in files.items()}})
    else:
        print_note(f"Wrote {train}, {validation} and {test} prompts to {out}.")


def causal_published(
    source: Annotated[Path, typer.Argument(metavar="IN", help="CSV, JSONL or parquet.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The JSONL file to write.")],
    json: JsonOption = False,
) -> None:
    """Read a published set of premises and hypotheses into prompts, completions and labels."""
    from OnPolicyDistill.datasets.causal_published import convert_published

    num_items = convert_published(source, target)
    if json:
        print_json({"file": str(target), "num_items": num_items})
    else:
        print_note(f"Wrote {count_of(num_items, 'prompts')} to {target}.")


def baselines(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled items.")],
    json: JsonOption = False,
) -> None:
    """Say how often rules are right that know no more than the file gives away."""
    from OnPolicyDistill.evaluation.baselines import baselines_of_file

    found = baselines_of_file(file)
    if json:
        print_json([rule.model_dump(mode="json") for rule in found])
        return
    rows = [
        [
            rule.rule,
            f"{100 * rule.accuracy:.1f} %",
            f"{100 * rule.interval.low:.1f} % to {100 * rule.interval.high:.1f} %",
            str(rule.num_items),
            rule.says,
        ]
        for rule in found
    ]
    print_table(["rule", "accuracy", "interval", "items", "says"], rows)
