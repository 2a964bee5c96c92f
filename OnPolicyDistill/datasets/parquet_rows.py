"""Parquet files row by row: values as in JSON, and the pictures that stand in them as bytes.

pyarrow comes with the extra `vlm` and is imported when the first such file is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.text_lines import MAX_LINE_BYTES
from OnPolicyDistill.errors import DatasetError

PICTURE_COLUMNS = ("images", "image")
ROWS_AT_ONCE = 16
MAX_COLUMNS = 200


def read_parquet(file: Path, first_line: int = 1) -> Iterator[Record | BadLine]:
    """Yield every row; `line` counts rows, the first is `first_line`.

    Raises:
        DatasetError: pyarrow is not installed, or the file is no parquet file or damaged.
    """
    try:
        import pyarrow as arrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        message = "Parquet files are read with pyarrow, which is not installed."
        fix = "Install the extra vlm (make setup does), or save the set as JSONL."
        raise DatasetError(message, fix, file) from error
    line = first_line
    try:
        with parquet.ParquetFile(file) as table:
            if table.metadata.num_columns > MAX_COLUMNS:
                message = f"It has more than {MAX_COLUMNS} columns."
                raise DatasetError(message, "Keep words, answers and pictures.", file)
            for batch in table.iter_batches(ROWS_AT_ONCE, use_threads=False):
                for values in batch.to_pylist():
                    yield _record(values, file, line)
                    line += 1
    except FileNotFoundError as error:
        raise DatasetError("There is no such file.", "Check the path.", file) from error
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        message = f"It cannot be read as parquet ({reason})."
        raise DatasetError(message, "Download it again.", file, line) from error


def _record(cells: dict[str, object], file: Path, line: int) -> Record | BadLine:
    values: dict[str, JsonValue] = {}
    pictures: list[PictureSource] = []
    for name, cell in cells.items():
        if name not in PICTURE_COLUMNS:
            values[name] = _json(cell)
            continue
        entries = cell if isinstance(cell, list) else [] if cell is None else [cell]
        for entry in entries:
            found = _picture(entry, file, line, len(pictures) + 1)
            if found is None:
                message = f"{name} holds something that is no picture."
                return BadLine(line, "wrong_type", message, "Store bytes, or the name of a file.")
            pictures.append(found)
    if any(isinstance(value, str) and len(value) > MAX_LINE_BYTES for value in values.values()):
        message = f"A text of the row is longer than {MAX_LINE_BYTES:,} characters."
        return BadLine(line, "giant_line", message, "Cut it.")
    return Record(line, values, file, tuple(pictures))


def _picture(cell: object, file: Path, line: int, number: int) -> PictureSource | None:
    """A cell as Hugging Face stores pictures: bytes with the name of the file they were, or one."""
    name: object = None
    data: object = cell
    if isinstance(cell, dict):
        name, data = cell.get("path"), cell.get("bytes")
    elif isinstance(cell, str):
        name, data = cell, None
    if isinstance(data, bytes):
        shown = name if isinstance(name, str) and name else f"picture {number}"
        return PictureSource(shown, data=data, origin=file, line=line)
    if isinstance(name, str) and name and "\0" not in name:
        return PictureSource(name, file.parent / name, origin=file, line=line)
    return None


def _json(cell: object) -> JsonValue:
    """A cell as JSON would have it; what it cannot hold becomes text."""
    if cell is None or isinstance(cell, str | bool | int):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else str(cell)
    if isinstance(cell, list):
        return [_json(item) for item in cell]
    if isinstance(cell, dict):
        return {str(key): _json(value) for key, value in cell.items()}
    return str(cell)
