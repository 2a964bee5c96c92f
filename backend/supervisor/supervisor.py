"""The supervisor: owns the one GPU slot, starts what waits for it, and explains what died."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import RLock

from backend.history.damage import DAMAGE
from backend.problems import ConflictError
from backend.settings import BackendSettings
from backend.supervisor.ending import kill
from backend.supervisor.explain import Ending, explain, is_explained, read_log_tail
from backend.supervisor.slot import ActiveRun, QueueEntry, Slot, Verb, Wish, load_slot, save_slot
from backend.supervisor.workers import ask, start_worker
from backend.system.room import LowMemoryError, check_disk, check_forecast, check_memory
from OnPolicyDistill.errors import DiskFullError, MemoryInUseError
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.directory import Control, RunDirectory, Worker, run_of
from OnPolicyDistill.runs.postmortem import PostMortem, write_postmortem
from OnPolicyDistill.runs.retrying import Tries, next_try

LOW_MEMORY_TICKS = 20

logger = logging.getLogger(__name__)


class Supervisor:
    """Methods may be called from any thread; `tick` is called a few times a second.

    `holder` says what else uses the GPU, such as a run started in a terminal, or None;
    `rank_options` what the command of a run says of its ranks.
    """

    def __init__(
        self,
        settings: BackendSettings,
        holder: Callable[[], str | None],
        memory_was_scarce: Callable[[], bool],
        rank_options: Callable[[str], list[str]] = lambda _run_id: [],
    ) -> None:
        self.settings = settings
        self._holder = holder
        self._memory_was_scarce = memory_was_scarce
        self._rank_options = rank_options
        self._lock = RLock()
        self.process: subprocess.Popen[bytes] | None = None
        self._low_memory_ticks = 0
        self.slot = self._recovered(load_slot(settings.workspace))
        self.blocked: str | None = None
        self.waits_for_memory = False

    def _recovered(self, slot: Slot) -> Slot:
        """A start that a crash cut off before the process was noted down is tried again."""
        if slot.active is None or slot.active.worker is not None:
            return slot
        again = QueueEntry(run_id=slot.active.run_id, verb=slot.active.verb, added=time.time())
        return Slot(queue=(again, *slot.queue))

    def run(self, run_id: str) -> RunDirectory:
        """Return a run's folder."""
        return run_of(self.settings.workspace, run_id)

    def enqueue(
        self,
        run_id: str,
        verb: Verb,
        front: bool = False,
        needed_gb: float | None = None,
        anyway: bool = False,
    ) -> None:
        """Let a run wait for the slot; one that waits or works already stays as it is.

        One that waits for memory and is queued again with `anyway` waits for it no longer.
        """
        with self._lock:
            if self._will_work(run_id):
                if anyway:
                    self._wait_no_longer(run_id)
                return
            entry = QueueEntry(
                run_id=run_id, verb=verb, added=time.time(), needed_gb=needed_gb, anyway=anyway
            )
            queue = (entry, *self.slot.queue) if front else (*self.slot.queue, entry)
            self._save(self.slot.model_copy(update={"queue": queue}))

    def _wait_no_longer(self, run_id: str) -> None:
        queue = tuple(
            entry.model_copy(update={"anyway": True}) if entry.run_id == run_id else entry
            for entry in self.slot.queue
        )
        self._save(self.slot.model_copy(update={"queue": queue}))

    def _will_work(self, run_id: str) -> bool:
        """Whether a run waits or goes on; one that ends or was asked to may be queued again."""
        if self.waits(run_id):
            return True
        active = self.slot.active
        if active is None or active.run_id != run_id or active.wish is not None:
            return False
        return not self._has_ended(active)[0]

    def waits(self, run_id: str) -> bool:
        """Whether a run is in the queue."""
        return any(entry.run_id == run_id for entry in self.slot.queue)

    def is_busy_with(self, run_id: str) -> bool:
        """Whether a run is active or waits."""
        active = self.slot.active
        return self.waits(run_id) or (active is not None and active.run_id == run_id)

    def dequeue(self, run_id: str) -> None:
        """Let a run wait no longer; does nothing when it does not."""
        with self._lock:
            queue = tuple(entry for entry in self.slot.queue if entry.run_id != run_id)
            self._save(self.slot.model_copy(update={"queue": queue}))

    def reorder(self, run_ids: tuple[str, ...]) -> None:
        """Put the queue in this order.

        Raises:
            ConflictError: the ids are not exactly those that wait now.
        """
        with self._lock:
            waiting = {entry.run_id: entry for entry in self.slot.queue}
            if sorted(run_ids) != sorted(waiting):
                raise ConflictError(
                    "The queue has changed since you looked.", "Look again and order what is there."
                )
            queue = tuple(waiting[run_id] for run_id in run_ids)
            self._save(self.slot.model_copy(update={"queue": queue}))

    def wish(self, run_id: str, wish: Wish, reason: str = "") -> None:
        """Ask a working run to pause or finish, or end it; asking again changes nothing.

        Raises:
            ConflictError: nothing works on the run.
        """
        with self._lock:
            run, active = self.run(run_id), self.slot.active
            ours = active is not None and active.run_id == run_id
            worker = active.worker if active is not None and ours else run.worker()
            if worker is None or not worker.is_alive():
                raise ConflictError(f"Nothing works on run {called(run)} now.", code="not_running")
            if active is not None and ours:
                self._note(active, wish, reason)
            if wish == "kill":
                self._kill(run, worker)
            elif not (active is not None and ours and active.wish == wish):
                ask(run, worker, Control(action=wish))

    def _kill(self, run: RunDirectory, worker: Worker) -> None:
        """Kill what works on a run: where it has ranks, the first of them is another process."""
        trains = run.worker()
        kill(worker)
        if trains is not None:
            kill(trains)

    def _note(self, active: ActiveRun, wish: Wish, reason: str) -> None:
        patience = active.kill_at or time.time() + self.settings.stop_grace_seconds
        noted = {"wish": wish, "wish_reason": reason, "kill_at": patience}
        self._save(self.slot.model_copy(update={"active": active.model_copy(update=noted)}))

    def tick(self) -> list[str]:
        """Look after the slot; returns the ids of runs whose state changed."""
        with self._lock:
            active = self.slot.active
            if active is None:
                return self._start_next()
            ended, code = self._has_ended(active)
            if ended:
                return [self._settle(active, code), *self._start_next()]
            self._watch(active)
            return []

    def _start_next(self) -> list[str]:
        self.waits_for_memory = False
        if not self.slot.queue:
            self.blocked = None
            return []
        holder = self._holder()
        if holder is not None:
            self.blocked = holder
            return []
        try:
            check_disk(self.settings)
            check_memory(self.settings)
            if not self.slot.queue[0].anyway:
                check_forecast(self.slot.queue[0].needed_gb)
        except (DiskFullError, LowMemoryError, MemoryInUseError) as error:
            self.blocked = str(error)
            self.waits_for_memory = isinstance(error, MemoryInUseError)
            return []
        self.blocked = None
        entry, *waiting = self.slot.queue
        active = ActiveRun(run_id=entry.run_id, verb=entry.verb)
        return [self._start(active, tuple(waiting))]

    def _start(self, active: ActiveRun, waiting: tuple[QueueEntry, ...]) -> str:
        run = self.run(active.run_id)
        active = active.model_copy(update={"log_start": _size(run.log_file)})
        self._save(Slot(active=active, queue=waiting))
        try:
            more = active.tries.environment()
            ranks = self._rank_options(run.run_id)
            self.process, worker = start_worker(self.settings, run, (active.verb, *ranks), more)
        except Exception as error:
            # Whatever keeps one run from starting must not end the supervision of the others.
            logger.exception("run %s could not be started", active.run_id)
            self._save(self.slot.model_copy(update={"active": None}))
            self._write_failed_start(run, error)
            return active.run_id
        noted = active.model_copy(update={"worker": worker})
        self._save(self.slot.model_copy(update={"active": noted}))
        return active.run_id

    def _write_failed_start(self, run: RunDirectory, error: Exception) -> None:
        if run.path.is_dir():
            words = f"Its process could not be started: {error}."
            postmortem = PostMortem(
                time=time.time(), after_seq=-1, cause="not_started", step=0, message=words,
                action="Check the installation and start it again.",
            )  # fmt: skip
            with suppress(*DAMAGE):
                write_postmortem(run, postmortem)

    def _has_ended(self, active: ActiveRun) -> tuple[bool, int | None]:
        assert active.worker is not None
        if self.process is not None and self.process.pid == active.worker.pid:
            code = self.process.poll()
            return code is not None, code
        return not active.worker.is_alive(), None

    def _settle(self, active: ActiveRun, code: int | None) -> str:
        self.process = None
        run = self.run(active.run_id)
        worker = run.worker()
        if not run.path.is_dir() or (worker is not None and worker.is_alive()):
            self._save(self.slot.model_copy(update={"active": None}))
            return active.run_id
        tries = self._tries_after(active, code)
        if tries is not None:
            again = ActiveRun(run_id=active.run_id, verb="resume", tries=tries)
            return self._start(again, self.slot.queue)
        self._save(self.slot.model_copy(update={"active": None}))
        scarce, start = self._memory_was_scarce(), active.log_start
        self._explain(run, Ending(code, active.wish, active.wish_reason, scarce, start))
        return active.run_id

    def _tries_after(self, active: ActiveRun, code: int | None) -> Tries | None:
        """How the run goes on by itself, if the GPU ended it and nobody wanted it to end."""
        if code == 0 or active.wish is not None:
            return None
        run = self.run(active.run_id)
        return next_try(run, active.tries, "\n".join(read_log_tail(run, active.log_start)))

    def _explain(self, run: RunDirectory, ending: Ending) -> bool:
        """Write a post-mortem, unless the run ended as it should; tells whether it did not."""
        try:
            postmortem = explain(run, ending)
            if postmortem is not None:
                write_postmortem(run, postmortem)
        except DAMAGE as error:
            logger.warning("run %s: no post-mortem (%s)", run.run_id, error)
            return False
        return postmortem is not None

    def explain_orphan(self, run: RunDirectory) -> bool:
        """Explain the death of a run that nobody watched; returns whether there was one to."""
        with self._lock:
            if self.is_busy_with(run.run_id) or is_explained(run):
                return False
            return self._explain(run, Ending(None, memory_was_scarce=self._memory_was_scarce()))

    def _watch(self, active: ActiveRun) -> None:
        """Guard a working run: patience with a stop, room on the disk, memory."""
        assert active.worker is not None
        if active.kill_at is not None and active.wish != "kill":
            if time.time() > active.kill_at:
                self._kill(self.run(active.run_id), active.worker)
            return
        try:
            check_disk(self.settings)
            self._check_memory_for_long()
        except (DiskFullError, LowMemoryError) as error:
            self.wish(active.run_id, "pause", str(error))

    def _check_memory_for_long(self) -> None:
        """Raise LowMemoryError when memory has been low at every look for a while."""
        try:
            check_memory(self.settings)
        except LowMemoryError:
            self._low_memory_ticks += 1
            if self._low_memory_ticks >= LOW_MEMORY_TICKS:
                raise
        else:
            self._low_memory_ticks = 0

    def _save(self, slot: Slot) -> None:
        if slot != self.slot:
            save_slot(self.settings.workspace, slot)
            self.slot = slot


def _size(file: Path) -> int:
    return file.lstat().st_size if os.path.lexists(file) else 0
