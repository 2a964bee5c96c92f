"""`opd data separate` and `opd data split`: training and held-out files that share no line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from OnPolicyDistill.cli.output import JsonOption, count_of, print_json, print_note

if TYPE_CHECKING:
    from OnPolicyDistill.datasets.sets_apart import Apart

ReadAsOption = Annotated[
    Literal["prompts", "conversations", "inputs"] | None,
    typer.Option("--as", help="What the lines are; else what most of the first ones are."),
]


def separate(
    training: Annotated[Path, typer.Argument(metavar="TRAINING", help="What is trained on.")],
    held_out: Annotated[Path, typer.Argument(metavar="HELD_OUT", help="What is held out.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    read_as: ReadAsOption = None,
    json: JsonOption = False,
) -> None:
    """Write the training lines that are not held out; lines are compared by what they say.

    Both files stay as they are.
    """
    from OnPolicyDistill.datasets import sets_apart

    done = sets_apart.separate(
        training, held_out, target, read_as or sets_apart.usual_reading(training)
    )
    taken_out = count_of(done.num_taken_out, "lines")
    told = f"Took {taken_out} out; wrote the other {done.num_training} to {target}."
    _tell(done, told, json)


def split(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="The set to split.")],
    training: Annotated[Path, typer.Argument(metavar="TRAINING", help="The file to train on.")],
    held_out: Annotated[Path, typer.Argument(metavar="HELD_OUT", help="The file to hold out.")],
    *,
    share: Annotated[
        float, typer.Option(min=0.001, max=0.9, help="The share that is held out.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Which lines are drawn.")] = 0,
    read_as: ReadAsOption = None,
    json: JsonOption = False,
) -> None:
    """Split a set into a training and a held-out file; equal lines stay on one side."""
    from OnPolicyDistill.datasets import sets_apart

    reading = read_as or sets_apart.usual_reading(source)
    done = sets_apart.split_off(source, (training, held_out), reading, share, seed)
    told = (
        f"Wrote {count_of(done.num_training, 'lines')} to {training} and "
        f"{done.num_held_out} to {held_out}, drawn with seed {seed}."
    )
    _tell(done, told, json)


def _tell(done: Apart, told: str, json: bool) -> None:
    if json:
        counts = {"training": done.num_training, "held_out": done.num_held_out}
        print_json({**counts, "taken_out": done.num_taken_out})
    else:
        print_note(told)
