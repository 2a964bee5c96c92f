"""What form a file of data has, by what it holds; its name decides only where that leaves it open.

A plain text is never guessed: lines are texts where the name says so (.txt, .md) and nothing that
they hold says otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

from OnPolicyDistill.datasets.csv_dialects import Dialect, dialect_of
from OnPolicyDistill.datasets.json_values import decoded
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.datasets.text_lines import head_of

FileForm = Literal["json_lines", "json", "table", "text", "parquet"]

HEAD_BYTES = 1_000_000
PARQUET_MARK = b"PAR1"
# How files begin that hold no text, and what they are.
FOREIGN = {
    b"\x1f\x8b": ("compressed (gzip)", "Decompress it first."),
    b"PK\x03\x04": ("an archive, as those of .zip and .xlsx are", "Save it as CSV UTF-8."),
    b"\xd0\xcf\x11\xe0": ("an old spreadsheet (.xls)", "Save it as CSV UTF-8."),
    b"ARROW1": ("an Arrow file", "Save it as parquet or JSONL."),
    b"SQLite format 3": ("a database", "Export a table of it as CSV."),
    b"%PDF": ("a PDF", "Save its words as text."),
}
TEXT_ENDINGS = (".txt", ".md")
TABLE_ENDINGS = (".csv", ".tsv", ".tab", ".psv")
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
# Endings that a file may have here; others are told by what the file holds, or refused.
KNOWN_ENDINGS = (*JSON_ENDINGS, *TABLE_ENDINGS, *TEXT_ENDINGS, ".parquet")


def form_of(
    stream: BinaryIO, file: Path, known: frozenset[str]
) -> tuple[FileForm, Dialect | None] | BadLine:
    """The form of an open file, with a table's dialect; or why it cannot be told.

    `known` are names of columns by which the heading of a table is recognized. The stream stands at
    its start again.
    """
    ending = file.suffix.lower()
    start = stream.read(16)
    stream.seek(0)
    if ending == ".parquet" or start.startswith(PARQUET_MARK):
        return "parquet", None
    for mark, (what, fix) in FOREIGN.items():
        if start.startswith(mark):
            return BadLine(1, "foreign_form", f"The file is {what}.", fix)
    head, is_whole = head_of(stream, HEAD_BYTES)
    as_json = _json_form(head, ending, is_whole)
    if as_json is not None:
        return as_json, None
    return _by_words(head, ending, known)


def _json_form(head: str, ending: str, is_whole: bool) -> FileForm | None:
    """Lines or one document, where the file begins as JSON does."""
    first, _, rest = head.strip().partition("\n")
    if first[:1] not in ("{", "["):
        return None
    is_value = _is_json(first)
    if is_value and (rest or not is_whole):
        return "json_lines"
    if is_value or ending == ".json" or _goes_on(first, rest):
        return "json"
    # A broken line among lines; or the words of a text that begins with a bracket.
    return "json_lines" if ending not in (*TEXT_ENDINGS, *TABLE_ENDINGS) else None


def _goes_on(first: str, rest: str) -> bool:
    """Whether a document begins that is written over several lines."""
    if first.strip() in ("{", "["):
        return rest.lstrip()[:1] in (('"', "}") if first.strip() == "{" else ("{", "]"))
    begins_item = first.startswith("[") and first.lstrip("[ ")[:1] == "{"
    is_cut = first.rstrip().endswith((",", "[", "{", ":"))
    return (begins_item or first.startswith('{"')) and is_cut


def _by_words(
    head: str, ending: str, known: frozenset[str]
) -> tuple[FileForm, Dialect | None] | BadLine:
    if not head.strip():
        return "json_lines", None
    dialect = None if ending == ".md" else dialect_of(head, known)
    if ending in TABLE_ENDINGS:
        return "table", dialect or Dialect()
    if dialect is not None and (dialect.delimiter == "\t" or _has_heading(dialect)):
        return "table", dialect
    if ending in TEXT_ENDINGS:
        return "text", None
    if ending in JSON_ENDINGS:
        return "json_lines", None
    message = "What the file holds cannot be told from its beginning or its name."
    fix = "Name it .txt for a text on each line, .csv for a table, .jsonl for JSON lines."
    return BadLine(1, "unknown_form", message, fix)


def _has_heading(dialect: Dialect) -> bool:
    return dialect.is_named and dialect.is_plain


def _is_json(text: str) -> bool:
    try:
        decoded(text)
    except RecursionError:
        return True
    except ValueError as error:
        return not str(error).startswith(("Expecting", "Extra", "Unterminated", "Invalid"))
    return True
