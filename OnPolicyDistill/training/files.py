"""The files of a run: one that has to be named, and rows of it that are too long to be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from OnPolicyDistill.errors import ConfigError, DatasetError
from OnPolicyDistill.methods import KindFacts
from OnPolicyDistill.runs.reporting import Reporter

Row = TypeVar("Row")


def named_file(facts: KindFacts, key: str, file: str | None) -> Path:
    """The file that a setting names.

    Raises:
        ConfigError: it names none.
    """
    if file is not None:
        return Path(file)
    (holds,) = (setting.holds for setting in facts.files if setting.key == key)
    field = f"{facts.block}.{key}"
    raise ConfigError(
        f"The config names no {key} file.",
        f"Set {field} to a file of {holds}.",
        ((field, f"a file of {holds} is required to train"),),
    )


@dataclass(frozen=True, slots=True)
class LengthLimit:
    """Most tokens that a row may have, and the setting that says so.

    `code` is the warning's, `rows` what people call them.
    """

    max_tokens: int
    setting: str
    code: str
    rows: str


def leave_out_long(
    rows: Sequence[Row],
    length_of: Callable[[Row], int],
    limit: LengthLimit,
    file: Path,
    reporter: Reporter,
) -> tuple[Row, ...]:
    """The rows of a file that are short enough; the others are counted in a warning.

    Raises:
        DatasetError: none is.
    """
    short = tuple(row for row in rows if length_of(row) <= limit.max_tokens)
    if not short:
        raise DatasetError(
            f"all {len(rows)} {limit.rows} are longer than {limit.max_tokens} tokens.",
            f"Raise {limit.setting} or shorten them.",
            file,
        )
    if len(short) < len(rows):
        reporter.warn(
            limit.code,
            f"{len(rows) - len(short)} of {len(rows)} {limit.rows} of {file} are longer than "
            f"{limit.max_tokens} tokens and were left out.",
            f"Raise {limit.setting} to use them.",
        )
    return short
