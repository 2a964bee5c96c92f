"""A line of a set as it can stand in a file elsewhere: its pictures are found from there too."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.overlap import MarkedLine
from OnPolicyDistill.datasets.picture_prompts import (
    FOLDER_FILE,
    FOLDER_KEY,
    PICTURE_KEYS,
    SOURCE_KEYS,
)
from OnPolicyDistill.datasets.records import Record

Line = dict[str, JsonValue]
_NAMING = frozenset((*PICTURE_KEYS, *SOURCE_KEYS))


def carried(line: MarkedLine) -> Line:
    """The values of a line; names of pictures become absolute, and pictures in rows are written."""
    record = line.record
    if not line.pictures:
        return record.values
    values = _beside_folder(record)
    inside = [_data_uri(source.data) for source in record.pictures]
    if inside:
        named = values.get("images")
        values = {**values, "images": [*inside, *(named if isinstance(named, list) else [])]}
    # What was found as a file, by the name that the line has for it.
    folder = Path() if record.origin is None else record.origin.parent.absolute()
    files = {str(source.file.absolute()) for source in line.pictures if source.file is not None}
    return {key: _renamed(key, value, folder, files) for key, value in values.items()}


def _beside_folder(record: Record) -> Line:
    """The hub's `metadata.jsonl` names pictures by a key that other files do not have."""
    name = record.values.get(FOLDER_KEY)
    is_folder = record.origin is not None and record.origin.name == FOLDER_FILE
    if not is_folder or any(record.values.get(key) is not None for key in PICTURE_KEYS):
        return record.values
    return {**{k: v for k, v in record.values.items() if k != FOLDER_KEY}, "images": [name]}


def _renamed(key: str, value: JsonValue, folder: Path, files: set[str]) -> JsonValue:
    """A value in which names of those files, under a key that names pictures, are absolute."""
    if isinstance(value, str):
        there = str(folder / value)
        return there if key in _NAMING and there in files else value
    if isinstance(value, list):
        return [_renamed(key, entry, folder, files) for entry in value]
    if isinstance(value, Mapping):
        return {inner: _renamed(inner, entry, folder, files) for inner, entry in value.items()}
    return value


def _data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
