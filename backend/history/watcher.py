"""Keeps the index fresh: sees the runs that anybody starts, changes or deletes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from backend.history.index import RunIndex
from backend.history.views import RunSummary
from OnPolicyDistill.runs.directory import is_run_folder, run_of
from OnPolicyDistill.runs.naming import shown_name


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look found."""

    changed: tuple[RunSummary, ...]
    removed: tuple[str, ...]


class RunWatcher:
    """Remembers each folder's last look; safe to use from threads.

    A folder's own time changes when a process begins or ends its work there (worker.json), and
    when annotations are written. Only runs at work are looked into at every look.
    """

    def __init__(self, index: RunIndex) -> None:
        self._index = index
        self._runs = index.workspace / "runs"
        self._touched: dict[str, int] = {}
        self._running: set[str] = set()
        self._ids: set[str] = set()
        self._lock = RLock()

    @property
    def running(self) -> frozenset[str]:
        """Runs that a process works on."""
        with self._lock:
            return frozenset(self._running)

    def start(self) -> None:
        """Bring the index up to date with the folders."""
        self._index.reconcile()
        for run_id, (state, fingerprint) in self._index.fingerprints().items():
            self._ids.add(run_id)
            self._touched[run_id] = int(fingerprint.partition(":")[0])
            if state == "running":
                self._running.add(run_id)

    def look(self) -> Changes:
        """Refresh what changed since the last look."""
        times = _folder_times(self._runs)
        with self._lock:
            removed = tuple(self._ids - times.keys())
            changed = [
                run_id
                for run_id, touched in times.items()
                if run_id in self._running or self._touched.get(run_id) != touched
            ]
        for run_id in removed:
            self.refresh(run_id)
            self._forget(run_id)
        found = [self._look_into(run_id, times[run_id]) for run_id in changed]
        return Changes(tuple(filter(None, found)), removed)

    def _look_into(self, run_id: str, touched: int) -> RunSummary | None:
        """Refresh a run. Its folder's time was read before: what changes now is seen next time."""
        summary = self.refresh(run_id)
        with self._lock:
            self._touched[run_id] = touched
            self._running.discard(run_id)
            if summary is not None:
                self._ids.add(run_id)
                if summary.state == "running":
                    self._running.add(run_id)
        return summary

    def _forget(self, run_id: str) -> None:
        with self._lock:
            self._ids.discard(run_id)
            self._touched.pop(run_id, None)
            self._running.discard(run_id)

    def current(self, run_id: str) -> RunSummary | None:
        """Return a run's entry, refreshed if its folder was touched; None where there is none."""
        run = run_of(self._index.workspace, run_id)
        with self._lock:
            known = None if run_id in self._running else self._touched.get(run_id)
        try:
            if known is not None and known == run.path.stat().st_mtime_ns:
                return self._index.get(run_id)
        except FileNotFoundError:
            return None
        return self.refresh(run_id)

    def refresh(self, run_id: str) -> RunSummary | None:
        """Refresh one run; returns its entry, None where there is no such run.

        Only `look` remembers what it saw, so that nobody else's question hides a change from it;
        but what was told to be running holds the GPU from then on, and is looked into again.
        """
        run = run_of(self._index.workspace, run_id)
        try:
            summary = self._index.refresh(run)
        except FileNotFoundError:
            self._index.forget(run)
            return None
        if summary is not None and summary.state == "running":
            with self._lock:
                self._running.add(run_id)
        return summary


def _folder_times(runs: Path) -> dict[str, int]:
    """Return when each run's folder was last touched; folders without settings are no runs yet."""
    if not runs.is_dir():
        return {}
    found: dict[str, int] = {}
    with os.scandir(runs) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # it went away meanwhile
                if is_run_folder(entry):
                    touched = entry.stat(follow_symlinks=False).st_mtime_ns
                    found[shown_name(entry.name)] = touched
    return found
