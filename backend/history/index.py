"""The index of runs: refreshed from folders, rebuilt from nothing, never the truth itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from backend.history.damage import DAMAGE, damaged
from backend.history.runlog import KEPT_FOLDER, RunLog, RunLogs
from backend.history.summary import read_facts, summarize
from backend.history.tables import (
    ENTRIES,
    RUN_VALUES,
    RUNS,
    EntryRow,
    IndexDamagedError,
    RunRow,
    ValueRow,
    discard_index,
    is_damage,
    open_index,
)
from backend.history.values import values_of
from backend.history.views import RunSummary
from OnPolicyDistill.runs.directory import RunDirectory, list_runs, run_of

logger = logging.getLogger(__name__)

RUNS_A_TRANSACTION = 100


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a run's folder said; one that could not be read has no log."""

    summary: RunSummary
    fingerprint: str
    values: list[dict[str, object]]
    log: RunLog | None = None


class RunIndex:
    """Every run of a workspace as a row; writes are serialized, reads are free."""

    def __init__(self, workspace: Path, logs: RunLogs) -> None:
        self.workspace = workspace
        self.logs = logs
        self.engine: Engine = open_index(workspace)
        self.is_damaged = False
        self._writing = Lock()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session.

        Raises:
            IndexDamagedError: the index cannot be used as it is.
        """
        try:
            with Session(self.engine) as session:
                yield session
        except DatabaseError as error:
            if not is_damage(error):
                raise
            self.is_damaged = True
            raise IndexDamagedError from error

    def remake(self) -> int:
        """Throw the index away and make it again; returns the number of runs."""
        with self._writing:
            self.engine.dispose()
            discard_index(self.workspace)
            self.engine = open_index(self.workspace)
            self.is_damaged = False
        return self._reconcile()

    def refresh(self, run: RunDirectory) -> RunSummary | None:
        """Bring a run's row up to date; returns its entry, None where the folder is gone."""
        if not run.is_there:
            self.forget(run)
            return None
        found = self._refresh([run])
        return found[0] if found else None

    def _refresh(self, runs: Sequence[RunDirectory]) -> list[RunSummary]:
        """Bring rows up to date in one transaction: each of them waits for the disk."""
        with self._writing:
            readings = [found for run in runs if (found := self._read(run)) is not None]
            news = self._store(readings)
        for reading in news:
            if reading.log is not None:
                reading.log.keep(reading.summary.state == "running")
        return [reading.summary for reading in readings]

    def _read(self, run: RunDirectory) -> _Reading | None:
        """Read a run inside its own guard; None where its folder went away meanwhile."""
        try:
            # Fingerprint and liveness come first: what changes after them is seen next time.
            fingerprint = fingerprint_of(run)
        except FileNotFoundError:
            return None
        try:
            state = run.state()
            log = self.logs.of(run)
            facts = read_facts(run)
            summary = summarize(log, state, facts)
            return _Reading(summary, fingerprint, values_of(summary, facts), log)
        except DAMAGE as error:
            if not run.path.is_dir():
                return None
            logger.warning("run %s cannot be read", run.run_id, exc_info=True)
            return _Reading(damaged(run, error), fingerprint, [])

    def _store(self, readings: list[_Reading]) -> list[_Reading]:
        """Write the rows that say anything else than before; returns what they were made of."""
        with self.session() as session, session.begin():
            news = _news(session, readings)
            if not news:
                return []
            old = [reading.summary.run_id for reading in news]
            session.execute(delete(RunRow).where(RunRow.run_id.in_(old)))
            rows = [_row(reading.summary, reading.fingerprint) for reading in news]
            session.execute(insert(RUNS), rows)
            session.execute(insert(ENTRIES), [_entry(reading.summary) for reading in news])
            values = [value for reading in news for value in reading.values]
            if values:
                session.execute(insert(RUN_VALUES), values)
        return news

    def forget(self, run: RunDirectory) -> None:
        """Drop the row of a run whose folder is gone."""
        self.logs.forget(run.run_id)
        with self._writing, self.session() as session, session.begin():
            session.execute(delete(RunRow).where(RunRow.run_id == run.run_id))

    def rebuild(self) -> int:
        """Forget every row and read all folders again; returns the number of runs."""
        self.logs.forget_all()
        try:
            with self._writing, self.session() as session, session.begin():
                session.execute(delete(ValueRow))
                session.execute(delete(RunRow))
            return self._reconcile()
        except IndexDamagedError:
            return self.remake()

    def reconcile(self) -> int:
        """Refresh the rows whose folders changed, came or went; returns the number of runs.

        An index that turns out to be damaged is made again.
        """
        try:
            return self._reconcile()
        except IndexDamagedError:
            return self.remake()

    def _reconcile(self) -> int:
        runs = {run.run_id: run for run in list_runs(self.workspace)}
        known = self.fingerprints()
        for run_id in known.keys() - runs.keys():
            self.refresh(run_of(self.workspace, run_id))
        stale: list[RunDirectory] = []
        for run_id, run in runs.items():
            state, fingerprint = known.get(run_id, ("", ""))
            if state == "running" or fingerprint != _fingerprint_or_none(run):
                stale.append(run)
        for first in range(0, len(stale), RUNS_A_TRANSACTION):
            self._refresh(stale[first : first + RUNS_A_TRANSACTION])
        return len(runs)

    def fingerprints(self) -> dict[str, tuple[str, str]]:
        """Return state and fingerprint of every row."""
        with self.session() as session:
            rows = session.execute(select(RunRow.run_id, RunRow.state, RunRow.fingerprint))
            return {run_id: (state, fingerprint) for run_id, state, fingerprint in rows}

    def get(self, run_id: str) -> RunSummary | None:
        """Return a run's entry."""
        with self.session() as session:
            row = session.get(EntryRow, run_id)
            return None if row is None else RunSummary.model_validate_json(row.summary)

    def contents(self) -> list[tuple[str, list[tuple[str, float | None, str | None]]]]:
        """Return all that is indexed, in a fixed order, to compare two indexes."""
        with self.session() as session:
            values: dict[str, list[tuple[str, float | None, str | None]]] = {}
            for row in session.scalars(select(ValueRow).order_by(ValueRow.number_in_run)):
                values.setdefault(row.run_id, []).append((row.key, row.number, row.words))
            rows = session.scalars(select(EntryRow).order_by(EntryRow.run_id))
            return [(row.summary, values.get(row.run_id, [])) for row in rows]


def fingerprint_of(run: RunDirectory) -> str:
    """Return what changes when anything in the folder does, without reading a file.

    Small files are replaced by renames, which touches the folder; the log only grows.

    Raises:
        FileNotFoundError: the folder is gone.
    """
    try:
        size = run.events_file.lstat().st_size
    except OSError:
        size = -1
    return f"{run.path.stat().st_mtime_ns}:{size}"


def _fingerprint_or_none(run: RunDirectory) -> str | None:
    try:
        return fingerprint_of(run)
    except FileNotFoundError:
        return None


def reindex(workspace: Path) -> int:
    """Rebuild a workspace's index; returns the number of runs."""
    index = RunIndex(workspace, RunLogs(workspace / KEPT_FOLDER))
    try:
        return index.rebuild()
    finally:
        index.engine.dispose()


def _news(session: Session, readings: list[_Reading]) -> list[_Reading]:
    """What says anything else than its row; settings change only with the fingerprint."""
    run_ids = [reading.summary.run_id for reading in readings]
    rows = session.execute(
        select(RunRow.run_id, RunRow.fingerprint, EntryRow.summary)
        .join(EntryRow, EntryRow.run_id == RunRow.run_id)
        .where(RunRow.run_id.in_(run_ids))
    )
    said = {run_id: (fingerprint, summary) for run_id, fingerprint, summary in rows}
    return [
        reading
        for reading in readings
        if said.get(reading.summary.run_id)
        != (reading.fingerprint, reading.summary.model_dump_json())
    ]


def _row(summary: RunSummary, fingerprint: str) -> dict[str, object]:
    notes = summary.annotations
    models = (summary.student, summary.teacher or "")
    words = " ".join(
        (summary.run_id, summary.name, summary.method, *models, notes.note, *notes.tags)
    )
    return {
        "run_id": summary.run_id,
        "fingerprint": fingerprint,
        "state": summary.state,
        "method": summary.method,
        "name": summary.name,
        "created": summary.created,
        "updated": summary.updated,
        "step": summary.step,
        "favourite": notes.favourite,
        "archived": notes.archived,
        "words": words.casefold(),
    }


def _entry(summary: RunSummary) -> dict[str, object]:
    return {"run_id": summary.run_id, "summary": summary.model_dump_json()}
