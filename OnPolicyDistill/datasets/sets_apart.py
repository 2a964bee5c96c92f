"""Training and held-out sets that share no line: made of two that do, or of one.

Both are new files; what they are made of stays as it is. Lines that count as the same (overlap)
stay together, so that what comes out has nothing in common. All is written, or nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.datasets.carried_lines import carried
from OnPolicyDistill.datasets.conversations import refuse_bad_lines
from OnPolicyDistill.datasets.kinds import kind_of
from OnPolicyDistill.datasets.overlap import MarkedLine, ReadAs, marked_lines
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.errors import DatasetError, InputError
from OnPolicyDistill.files import write_text_atomically

DEFAULT_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Apart:
    """How many lines each of the two sets has now, and how many were taken out of training."""

    num_training: int
    num_held_out: int
    num_taken_out: int = 0


def usual_reading(file: Path) -> ReadAs:
    """As what a file's lines are compared where no method says it."""
    kind = kind_of(file)
    return "inputs" if kind == "text" else kind


def separate(training: Path, held_out: Path, target: Path, read_as: ReadAs) -> Apart:
    """Write the training lines that are not among the held-out ones.

    Raises:
        InputError: the target is there already, or its folder is not.
        DatasetError: lines cannot be used, or none is left.
    """
    _refuse_target(target)
    known = {line.mark for line in _usable(held_out, read_as)}
    lines = _usable(training, read_as)
    kept = [line for line in lines if line.mark not in known]
    if not kept:
        message = "All of its lines are held out, so that none would be left to train on."
        raise DatasetError(message, "Hold back a tenth of it instead: opd data split.", training)
    _write(target, kept)
    return Apart(len(kept), len(_usable(held_out, read_as)), len(lines) - len(kept))


def split_off(
    source: Path, targets: tuple[Path, Path], read_as: ReadAs, share: float, seed: int
) -> Apart:
    """Write a set as (training, held out), with about that share of its lines held out.

    Lines that are the same, or name one `source`, are on one side. The seed decides which are held
    out: the same file, share and seed give the same two sets.

    Raises:
        InputError: a target is there already, or its folder is not.
        DatasetError: lines cannot be used, or there is too little to split.
    """
    for target in targets:
        _refuse_target(target)
    lines = _usable(source, read_as)
    groups: dict[bytes | str, list[int]] = {}
    for place, line in enumerate(lines):
        groups.setdefault(line.source or line.mark, []).append(place)
    if len(groups) < 2:
        message = "It has only one line, or all come from one source: nothing can be held back."
        raise DatasetError(message, "Give a held-out file of its own.", source)
    held = _drawn(list(groups.values()), share * len(lines), seed)
    parts = _parts(lines, held)
    for target, part in zip(targets, parts, strict=True):
        _write(target, part)
    return Apart(len(parts[0]), len(parts[1]))


def _parts(
    lines: Sequence[MarkedLine], held: frozenset[int]
) -> tuple[list[MarkedLine], list[MarkedLine]]:
    rest = [line for place, line in enumerate(lines) if place not in held]
    return rest, [line for place, line in enumerate(lines) if place in held]


def _drawn(groups: list[list[int]], wanted: float, seed: int) -> frozenset[int]:
    """Places of whole groups, in a seeded order, until there are as many as wanted; never all."""
    random.Random(seed).shuffle(groups)
    drawn: list[int] = []
    for group in groups[:-1]:
        if drawn and len(drawn) + len(group) > wanted:
            continue
        drawn += group
        if len(drawn) >= wanted:
            break
    return frozenset(drawn)


def _usable(file: Path, read_as: ReadAs) -> list[MarkedLine]:
    found = list(marked_lines(file, read_as))
    refuse_bad_lines(file, [line for line in found if isinstance(line, BadLine)])
    return [line for line in found if isinstance(line, MarkedLine)]


def _refuse_target(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target} is there already.", "Give another name, or remove it first.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent}.", "Make it first.")


def _write(target: Path, lines: Sequence[MarkedLine]) -> None:
    text = (json.dumps(carried(line), ensure_ascii=False) for line in lines)
    write_text_atomically(target, "".join(f"{line}\n" for line in text))
