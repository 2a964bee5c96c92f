"""Columns of a line named by hand: which of them is the prompt, the completion, the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

from pydantic import JsonValue

from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import InputError

Meaning = Literal[
    "prompt", "completion", "answer", "system", "text", "label", "source", "messages", "images"
]
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)


def parse_mapping(pairs: list[str]) -> dict[Meaning, str]:
    """What `prompt=question` says, for each of such words.

    Raises:
        InputError: one is no pair, or what it names is nothing that a line can have here.
    """
    mapping: dict[Meaning, str] = {}
    for pair in pairs:
        name, is_pair, column = pair.partition("=")
        meaning = next((one for one in MEANINGS if one == name.strip()), None)
        if not is_pair or not column.strip() or meaning is None:
            message = f"--map {pair} does not say what a column is."
            fix = f"Write --map prompt=question; what is named is one of {', '.join(MEANINGS)}."
            raise InputError(message, fix)
        mapping[meaning] = column.strip()
    return mapping


def columns_of(mapping: Mapping[Meaning, str]) -> frozenset[str]:
    """The columns that a mapping takes, as the heading of a table has them."""
    return frozenset(column.lower() for column in mapping.values())


def renamed(record: Record, mapping: Mapping[Meaning, str]) -> Record | BadLine:
    """A record with its columns under the names that they have here; the others stay.

    Columns are found in any case. A `system` comes before the prompt, as messages.
    """
    if not mapping:
        return record
    lower = {name.lower(): name for name in record.values}
    taken: dict[Meaning, str] = {}
    for meaning, column in mapping.items():
        name = column if column in record.values else lower.get(column.lower())
        if name is None and meaning in ("prompt", "text", "messages"):
            message = f"The line has no {column}, which is to be its {meaning}."
            return BadLine(record.line, "no_column", message, f"It has: {_listed(record)}.")
        if name is not None:
            taken[meaning] = name
    values = {key: value for key, value in record.values.items() if key not in taken.values()}
    found: dict[str, JsonValue] = {meaning: record.values[name] for meaning, name in taken.items()}
    system = found.pop("system", None)
    if isinstance(system, str) and isinstance(found.get("prompt"), str):
        asked: JsonValue = {"role": "user", "content": found["prompt"]}
        found["prompt"] = [{"role": "system", "content": system}, asked]
    return replace(record, values={**values, **found})


def _listed(record: Record) -> str:
    return ", ".join(list(record.values)[:12]) or "nothing"
