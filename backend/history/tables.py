"""The index's tables: a cache of the folders in SQLite, thrown away when its layout changes."""

from __future__ import annotations

import sqlite3
from http import HTTPStatus
from pathlib import Path

from sqlalchemy import Engine, ForeignKey, Index, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from backend.problems import RefusedError
from OnPolicyDistill.files import kind_of, make_private, remove_any, set_aside

LAYOUT = 8
INDEX_FILE = "index.sqlite"
# Negative sizes are kB: the first index of many runs writes all over its trees.
SETTINGS = (
    "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "cache_size = -32000",
)  # fmt: skip
_OTHER_TABLES = ("no such", "table ", "foreign key mismatch")
_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)


class Base(DeclarativeBase):
    """The tables of the index."""


class RunRow(Base):
    """A run: what lists sort and filter by. Rows are short, since every list goes through them."""

    __tablename__ = "runs"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    method: Mapped[str]
    name: Mapped[str]
    created: Mapped[float] = mapped_column(index=True)
    updated: Mapped[float | None]
    step: Mapped[int]
    favourite: Mapped[bool]
    archived: Mapped[bool]
    words: Mapped[str]


class EntryRow(Base):
    """A run's whole entry as JSON, which only the runs of a page need."""

    __tablename__ = "run_entries"

    run_id: Mapped[str] = mapped_column(
        ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True
    )
    summary: Mapped[str]


class ValueRow(Base):
    """A config key, a metric or a tag of a run, to filter and sort by.

    Rows lie in the order of their key, and one index answers every filter by itself: a run has a
    hundred of them, and each further tree would double what the first index has to write.
    """

    __tablename__ = "run_values"

    run_id: Mapped[str] = mapped_column(
        ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    number_in_run: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[float | None]
    words: Mapped[str | None]

    __table_args__ = (
        Index("values_by_key", "key", "number", "words"),
        {"sqlite_with_rowid": False},
    )


class IndexDamagedError(RefusedError):
    """The index has to be made again, which the next look at the workspace does."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "index_damaged",
            "The index of runs is damaged and is being made again.",
            "Look again in a moment; nothing of any run is lost.",
        )


RUNS, ENTRIES, RUN_VALUES = (
    Base.metadata.tables[name] for name in ("runs", "run_entries", "run_values")
)


def open_index(workspace: Path) -> Engine:
    """Open the index, empty where there is none of this layout or what is there is damaged."""
    make_private(workspace)
    file = workspace / INDEX_FILE
    if kind_of(file) is not None:
        set_aside(file)
    try:
        return _open(file)
    except DatabaseError as error:
        if not is_damage(error):
            raise
        discard_index(workspace)
        return _open(file)


def _open(file: Path) -> Engine:
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 30.0})
    event.listen(engine, "connect", _configure)
    try:
        with engine.begin() as connection:
            if connection.execute(text("PRAGMA user_version")).scalar_one() != LAYOUT:
                Base.metadata.drop_all(connection)
                connection.execute(text(f"PRAGMA user_version = {LAYOUT}"))
            Base.metadata.create_all(connection)
    except DatabaseError:
        engine.dispose()
        raise
    return engine


def discard_index(workspace: Path) -> None:
    """Remove the index: what is in it follows from the folders."""
    for ending in ("", "-wal", "-shm", "-journal"):
        remove_any(workspace / f"{INDEX_FILE}{ending}")


def is_damage(error: DatabaseError) -> bool:
    """Whether SQLite says that the file is no index of ours any more; a lock is none."""
    cause = error.orig
    if not isinstance(cause, sqlite3.DatabaseError):
        return False
    # Errors that Python's module raises itself have no code.
    code = cause.__dict__.get("sqlite_errorcode", 0) & 0xFF
    return code in _DAMAGE_CODES or str(cause).startswith(_OTHER_TABLES)


def _configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for setting in SETTINGS:
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()
