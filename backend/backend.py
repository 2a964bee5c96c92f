"""The parts of one backend process and how they hear of each other."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from threading import Lock
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backend.access import Access
from backend.history.damage import DAMAGE
from backend.history.index import RunIndex
from backend.history.lines import FileReplacedError, LineFile
from backend.history.runlog import KEPT_FOLDER, RunLog, RunLogs
from backend.history.summary import detail
from backend.history.views import RunDetail, RunSummary, ShownState
from backend.history.watcher import RunWatcher
from backend.live.board import Board
from backend.live.feed import RunFeed
from backend.live.messages import (
    QueueMessage,
    QueueView,
    RunChangedMessage,
    RunRemovedMessage,
    StateMessage,
    SystemMessage,
)
from backend.problems import NotFoundError
from backend.ranks import rank_options
from backend.settings import BackendSettings
from backend.supervisor.slot import ActiveRun
from backend.supervisor.supervisor import Supervisor
from backend.system.figures import SystemFigures, SystemSampler
from backend.tokens import TokenFile
from OnPolicyDistill.errors import DistillError, RunError
from OnPolicyDistill.files import kind_of, make_private, remove_any
from OnPolicyDistill.runs.directory import RunDirectory, run_of

SUPERVISION_SECONDS = 0.2
SAMPLE_SECONDS = 1.0
KEPT_ROLLOUT_FILES = 8

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Backend:
    """Holds the parts; routes ask it, its loops keep it current."""

    def __init__(self, settings: BackendSettings) -> None:
        self.settings = settings
        for folder in (settings.runs, settings.trash, settings.scratch):
            make_private(folder)
        self.tokens = TokenFile(settings.workspace)
        self.access = Access(settings.token, settings.link_token, settings.port, self.tokens)
        self.logs = RunLogs(settings.workspace / KEPT_FOLDER)
        self.index = RunIndex(settings.workspace, self.logs)
        self.watcher = RunWatcher(self.index)
        self.sampler = SystemSampler(settings.workspace)
        # Others who have a model in memory; each says what it does, or None.
        self.holders: list[Callable[[], str | None]] = []
        self.supervisor = Supervisor(
            settings,
            self._holder,
            self.sampler.memory_was_scarce,
            partial(rank_options, settings.workspace),
        )
        self.board = Board()
        self.figures: SystemFigures | None = None
        self.on_stop: Callable[[], None] | None = None
        self.on_run_change: list[Callable[[RunSummary], None]] = []
        self._rollouts: dict[str, LineFile] = {}
        self._rollouts_lock = Lock()
        self.feeds: dict[str, RunFeed] = {}
        self._last_queue: QueueView | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch folders, supervise and sample while the block runs."""
        await asyncio.to_thread(self._begin)
        self._loop = asyncio.get_running_loop()
        loops = [
            asyncio.create_task(_repeat(self._watch_runs, self.settings.scan_seconds)),
            asyncio.create_task(_repeat(self._supervise, SUPERVISION_SECONDS)),
            asyncio.create_task(_repeat(self._sample, SAMPLE_SECONDS)),
        ]
        try:
            yield
        finally:
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            self.index.engine.dispose()

    def _begin(self) -> None:
        for leftover in self.settings.scratch.iterdir():
            remove_any(leftover)
        self.watcher.start()
        for run_id, (state, _) in self.index.fingerprints().items():
            if state == "interrupted" and self.supervisor.explain_orphan(self.directory(run_id)):
                self.watcher.refresh(run_id)

    def directory(self, run_id: str) -> RunDirectory:
        """Return a run's folder, existing or not; ids are checked where they come in."""
        return run_of(self.settings.workspace, run_id)

    def there(self, run_id: str) -> RunDirectory:
        """Return a run's folder, however damaged it is.

        Raises:
            NotFoundError: there is no such run.
        """
        run = self.directory(run_id)
        if run.path.is_symlink() or not run.is_there:
            raise NotFoundError(f"There is no run {run_id}.")
        return run

    def existing(self, run_id: str) -> RunDirectory:
        """Return a run's folder.

        Raises:
            NotFoundError: there is no such run, or it could show files from elsewhere.
        """
        run = self.there(run_id)
        for file in (run.config_file, run.events_file, run.rollouts_file, run.log_file):
            kind = kind_of(file)
            if kind is not None:
                raise NotFoundError(
                    f"Run {run_id} has {kind} in the place of {file.name}.", "Put the file there."
                )
        return run

    def log(self, run_id: str) -> RunLog:
        """Return a run's log, caught up."""
        return self.logs.of(self.existing(run_id))

    def summary(self, run_id: str) -> RunSummary:
        """Return a run's entry as it stands now."""
        summary = self.watcher.current(self.existing(run_id).run_id)
        if summary is None:
            raise NotFoundError(f"There is no run {run_id}.")
        return self.shown(summary)

    def name_of(self, run_id: str) -> str:
        """Return what a run is called; its id where it is gone."""
        summary = self.index.get(run_id)
        return run_id if summary is None else f"“{summary.name}”"

    def detail(self, run_id: str) -> RunDetail:
        """Return a run's own page as it stands now."""
        summary, log = self.summary(run_id), self.log(run_id)
        try:
            return detail(log, summary)
        except DAMAGE as error:
            logger.warning("the page of run %s cannot be made", run_id, exc_info=True)
            raise RunError(
                f"The folder of run {run_id} is damaged ({type(error).__name__}).",
                "Restore it from a backup, or delete the run.",
            ) from error

    def working(self) -> tuple[RunSummary, ...]:
        """Return the entries of runs at work or waiting."""
        run_ids = dict.fromkeys((*sorted(self.watcher.running), *self.shown_states()))
        found = (self.index.get(run_id) for run_id in run_ids)
        return tuple(self.shown(summary) for summary in found if summary is not None)

    def rollouts(self, run_id: str) -> LineFile:
        """Return where the lines of a run's rollouts are, up to date."""
        path = self.existing(run_id).rollouts_file
        with self._rollouts_lock:
            lines = self._rollouts.pop(run_id, None) or LineFile(path)
            try:
                deque(lines.new_lines(), maxlen=0)
            except FileReplacedError:
                lines = LineFile(path)
                deque(lines.new_lines(), maxlen=0)
            self._rollouts[run_id] = lines
            while len(self._rollouts) > KEPT_ROLLOUT_FILES:
                del self._rollouts[next(iter(self._rollouts))]
            return lines

    async def in_thread(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer something that reads files without holding up the event loop."""
        return await asyncio.to_thread(question, *args, **kwargs)

    def ask_to_stop(self) -> None:
        """End the server that runs this backend; does nothing where none does."""
        if self.on_stop is not None:
            self.on_stop()

    def shown(self, summary: RunSummary) -> RunSummary:
        """Return an entry with what only the supervisor knows: queue, start, stop."""
        state = self.shown_states().get(summary.run_id)
        if state is None:
            return summary
        waiting = [entry.run_id for entry in self.supervisor.slot.queue]
        position = waiting.index(summary.run_id) if summary.run_id in waiting else None
        return summary.model_copy(update={"state": state, "queue_position": position})

    def shown_states(self) -> dict[str, ShownState]:
        """Return states that differ from what the folders say."""
        slot = self.supervisor.slot
        states: dict[str, ShownState] = {entry.run_id: "queued" for entry in slot.queue}
        if slot.active is not None:
            run = self.directory(slot.active.run_id)
            state = self._state_of_active(slot.active, run)
            if state is not None:
                states[run.run_id] = state
        return states

    def _state_of_active(self, active: ActiveRun, run: RunDirectory) -> ShownState | None:
        """Starting until it has written something, stopping once asked to, until it is gone."""
        if active.worker is None:
            return "starting"
        if not active.worker.is_alive():
            return None
        if active.wish is not None:
            return "stopping"
        try:
            written = run.events_file.lstat().st_mtime
        except OSError:
            return "starting"
        return "starting" if written < active.worker.started else None

    def queue(self) -> QueueView:
        """Return the slot and who waits for it."""
        slot = self.supervisor.slot
        return QueueView(
            active=slot.active,
            queue=slot.queue,
            blocked=self.supervisor.blocked,
            waits_for_memory=self.supervisor.waits_for_memory,
        )

    def changed(self, run_id: str) -> RunSummary:
        """Refresh a run after a change and tell everybody; may be called from any thread."""
        self.watcher.refresh(run_id)
        summary = self.summary(run_id)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._publish, summary)
        return summary

    def removed(self, run_id: str) -> None:
        """Forget a run whose folder went away and tell everybody; from any thread."""
        self.watcher.refresh(run_id)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._publish_removed, run_id)

    @asynccontextmanager
    async def feed(self, run_id: str) -> AsyncIterator[RunFeed]:
        """Lend the one feed of a run to a reader."""
        feed = self.feeds.get(run_id)
        if feed is None or feed.is_gone:
            log = await asyncio.to_thread(self.log, run_id)
            feed = self.feeds.setdefault(run_id, RunFeed(log, self.settings.follow_seconds))
            if feed.is_gone:
                feed = self.feeds[run_id] = RunFeed(log, self.settings.follow_seconds)
        await feed.open()
        try:
            yield feed
        finally:
            feed.close()
            if feed.num_readers == 0 and self.feeds.get(run_id) is feed:
                del self.feeds[run_id]

    def _publish(self, summary: RunSummary) -> None:
        shown = self.shown(summary)
        for hear in self.on_run_change:
            hear(shown)
        self.board.publish(RunChangedMessage(run=shown))
        feed = self.feeds.get(summary.run_id)
        if feed is not None:
            feed.publish_state(StateMessage(run=shown).model_dump_json())

    def _publish_removed(self, run_id: str) -> None:
        self.board.publish(RunRemovedMessage(run_id=run_id))
        feed = self.feeds.pop(run_id, None)
        if feed is not None:
            feed.mark_gone()

    def _holder(self) -> str | None:
        """What else has a model in memory: a run that is not the supervisor's own, or others."""
        active = self.supervisor.slot.active
        others = sorted(self.watcher.running - ({active.run_id} if active else set()))
        if others:
            return f"Run {others[0]} is at work outside this queue."
        return self.held_by_others()

    def is_free(self) -> bool:
        """Whether a run that is queued now would start at once."""
        slot = self.supervisor.slot
        return slot.active is None and not slot.queue and self._holder() is None

    def held_by_others(self) -> str | None:
        """Say what has a model in memory and is no run, or None."""
        return next((reason for holder in self.holders if (reason := holder())), None)

    async def _watch_runs(self) -> None:
        if self.index.is_damaged:
            logger.warning("the index of runs is damaged; it is made again")
            await asyncio.to_thread(self.index.remake)
        changes = await asyncio.to_thread(self.watcher.look)
        for summary in changes.changed:
            if summary.state == "interrupted":
                run = self.directory(summary.run_id)
                await asyncio.to_thread(self.supervisor.explain_orphan, run)
            self._publish(summary)
        for run_id in changes.removed:
            self._publish_removed(run_id)

    async def _supervise(self) -> None:
        for run_id in await asyncio.to_thread(self.supervisor.tick):
            summary = await asyncio.to_thread(self.watcher.refresh, run_id)
            if summary is not None:
                self._publish(summary)
        queue = self.queue()
        if queue != self._last_queue:
            self._last_queue = queue
            self.board.publish(QueueMessage(queue=queue))

    async def _sample(self) -> None:
        active = self.supervisor.slot.active
        pid = None if active is None or active.worker is None else active.worker.pid
        gpu = None if active is None else await asyncio.to_thread(self._gpu_gb, active.run_id)
        self.figures = await asyncio.to_thread(self.sampler.sample, pid, gpu)
        self.board.publish(SystemMessage(system=self.figures))

    def _gpu_gb(self, run_id: str) -> float | None:
        summary = self.index.get(run_id)
        metric = None if summary is None else summary.metrics.get("active_memory_gb")
        return None if metric is None else metric.last


async def _repeat(action: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Do something again and again; a full disk or a locked file must not end it."""
    while True:
        try:
            await action()
        except (OSError, DistillError, SQLAlchemyError):
            logger.exception("a look at the workspace failed; trying again")
        await asyncio.sleep(seconds)
