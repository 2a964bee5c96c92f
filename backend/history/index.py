"""The index of runs: refreshed from folders, rebuilt from nothing, never the truth itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.orm import Session

from backend.history.runlog import KEPT_FOLDER, RunLog, RunLogs
from backend.history.summary import RunFacts, config_values, read_facts, summarize
from backend.history.tables import RunRow, ValueRow, open_index
from backend.history.views import RunSummary, Value
from OnPolicyDistill.runs.directory import RunDirectory, list_runs

RUNS_A_TRANSACTION = 100


class RunIndex:
    """Every run of a workspace as a row; writes are serialized, reads are free."""

    def __init__(self, workspace: Path, logs: RunLogs) -> None:
        self.workspace = workspace
        self.logs = logs
        self.engine: Engine = open_index(workspace)
        self._writing = Lock()

    def refresh(self, run: RunDirectory) -> RunSummary | None:
        """Bring a run's row up to date; returns its entry, None where the folder is gone."""
        if not run.config_file.is_file():
            self.forget(run)
            return None
        return self._refresh([run])[0]

    def _refresh(self, runs: Sequence[RunDirectory]) -> list[RunSummary]:
        """Bring rows up to date in one transaction: each of them waits for the disk."""
        with self._writing, Session(self.engine) as session, session.begin():
            written = [self._write(session, run) for run in runs]
        for log, summary, is_news in written:
            if is_news:
                log.keep(summary.state == "running")
        return [summary for _, summary, _ in written]

    def _write(self, session: Session, run: RunDirectory) -> tuple[RunLog, RunSummary, bool]:
        """Write a run's row, unless it says so already; returns whether it did not."""
        # Fingerprint and liveness come first: what changes after them is seen next time.
        fingerprint = fingerprint_of(run)
        state = run.state()
        log = self.logs.of(run)
        facts = read_facts(run)
        summary = summarize(log, state, facts)
        if not _is_news(session, summary, fingerprint):
            return log, summary, False
        session.execute(delete(RunRow).where(RunRow.run_id == run.run_id))
        session.execute(insert(RunRow), [_row(summary, fingerprint)])
        values = _values(summary, facts)
        if values:
            # Else rows with a null are put in groups of their own.
            session.execute(insert(ValueRow).execution_options(render_nulls=True), values)
        return log, summary, True

    def forget(self, run: RunDirectory) -> None:
        """Drop the row of a run whose folder is gone."""
        self.logs.forget(run.run_id)
        with self._writing, Session(self.engine) as session, session.begin():
            session.execute(delete(RunRow).where(RunRow.run_id == run.run_id))

    def rebuild(self) -> int:
        """Forget every row and read all folders again; returns the number of runs."""
        self.logs.forget_all()
        with self._writing, Session(self.engine) as session, session.begin():
            session.execute(delete(RunRow))
        return self.reconcile()

    def reconcile(self) -> int:
        """Refresh the rows whose folders changed, came or went; returns the number of runs."""
        runs = {run.run_id: run for run in list_runs(self.workspace)}
        known = self.fingerprints()
        for run_id in known.keys() - runs.keys():
            self.refresh(RunDirectory(self.workspace / "runs" / run_id))
        stale: list[RunDirectory] = []
        for run_id, run in runs.items():
            state, fingerprint = known.get(run_id, ("", ""))
            if state == "running" or fingerprint != fingerprint_of(run):
                stale.append(run)
        for first in range(0, len(stale), RUNS_A_TRANSACTION):
            self._refresh(stale[first : first + RUNS_A_TRANSACTION])
        return len(runs)

    def fingerprints(self) -> dict[str, tuple[str, str]]:
        """Return state and fingerprint of every row."""
        with Session(self.engine) as session:
            rows = session.execute(select(RunRow.run_id, RunRow.state, RunRow.fingerprint))
            return {run_id: (state, fingerprint) for run_id, state, fingerprint in rows}

    def get(self, run_id: str) -> RunSummary | None:
        """Return a run's entry."""
        with Session(self.engine) as session:
            row = session.get(RunRow, run_id)
            return None if row is None else RunSummary.model_validate_json(row.summary)

    def contents(self) -> list[tuple[str, list[tuple[str, float | None, str | None]]]]:
        """Return all that is indexed, in a fixed order, to compare two indexes."""
        with Session(self.engine) as session:
            values: dict[str, list[tuple[str, float | None, str | None]]] = {}
            for row in session.scalars(select(ValueRow).order_by(ValueRow.number_in_run)):
                values.setdefault(row.run_id, []).append((row.key, row.number, row.words))
            rows = session.scalars(select(RunRow).order_by(RunRow.run_id))
            return [(row.summary, values.get(row.run_id, [])) for row in rows]


def fingerprint_of(run: RunDirectory) -> str:
    """Return what changes when anything in the folder does, without reading a file.

    Small files are replaced by renames, which touches the folder; the log only grows.
    """
    try:
        size = run.events_file.stat().st_size
    except FileNotFoundError:
        size = -1
    return f"{run.path.stat().st_mtime_ns}:{size}"


def reindex(workspace: Path) -> int:
    """Rebuild a workspace's index; returns the number of runs."""
    index = RunIndex(workspace, RunLogs(workspace / KEPT_FOLDER))
    try:
        return index.rebuild()
    finally:
        index.engine.dispose()


def _is_news(session: Session, summary: RunSummary, fingerprint: str) -> bool:
    """Whether a run's row says anything else; settings change only with the fingerprint."""
    row = session.get(RunRow, summary.run_id)
    said = None if row is None else (row.fingerprint, row.summary)
    return said != (fingerprint, summary.model_dump_json())


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
        "summary": summary.model_dump_json(),
    }


def _values(summary: RunSummary, facts: RunFacts) -> list[dict[str, object]]:
    return [
        {
            "number_in_run": number,
            "run_id": summary.run_id,
            "key": key,
            "number": float(value) if isinstance(value, int | float) else None,
            "words": _as_words(value),
        }
        for number, (key, value) in enumerate(_keyed(summary, facts))
    ]


def _keyed(summary: RunSummary, facts: RunFacts) -> Iterator[tuple[str, Value]]:
    if facts.config is not None:
        yield from config_values(facts.config)
    # Every method has a name of its own for them.
    yield "student", summary.student
    yield "teacher", summary.teacher
    for key, metric in summary.metrics.items():
        yield key, metric.last
        yield f"{key}.first", metric.first
        yield f"{key}.minimum", metric.minimum
        yield f"{key}.maximum", metric.maximum
    for tag in summary.annotations.tags:
        yield "tag", tag


def _as_words(value: Value) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
