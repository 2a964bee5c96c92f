"""What a trainer says while it works: events on disk first, then to whoever watches the process."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

import psutil

from OnPolicyDistill.config import RunConfig, num_steps_of, settings_of
from OnPolicyDistill.errors import DistillError, GpuError, GpuInterruptedError, StoppedError
from OnPolicyDistill.faces import Phase
from OnPolicyDistill.files import append_whole, disk_errors, open_to_append
from OnPolicyDistill.gpu import find_gpu_failure, is_watched
from OnPolicyDistill.machine import processor_name
from OnPolicyDistill.macos import process_memory_bytes
from OnPolicyDistill.runs.directory import RunDirectory, config_hash
from OnPolicyDistill.runs.events import (
    TORN_LINE_REPAIRED,
    DataFile,
    Event,
    EventBase,
    Machine,
    PhaseChanged,
    RolloutRecord,
    RolloutSampled,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    StepFinished,
    Warned,
)
from OnPolicyDistill.runs.failures import describe_failure
from OnPolicyDistill.runs.log import EventWriter, last_event, repair_torn_line
from OnPolicyDistill.runs.loggers.chosen import chosen_loggers
from OnPolicyDistill.runs.loggers.following import Loggers, Trouble
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.stopping import stoppable

INTERRUPTED = "The run was interrupted at once: what followed its last checkpoint is done again."

Observer = Callable[[Event], None]


ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _nothing() -> None:
    pass


class StopRequest:
    """Set by SIGTERM, SIGINT or SIGHUP; whatever works looks at it between pieces of work.

    `on_hang_up` is called where the terminal was closed, before anything more is said there.
    """

    def __init__(self, on_hang_up: Callable[[], None] = _nothing) -> None:
        self.is_set = False
        self._on_hang_up = on_hang_up

    def __call__(self) -> bool:
        """Whether the user asked the run to stop."""
        return self.is_set

    def check(self) -> None:
        """Raise StoppedError if a stop was asked for."""
        if self.is_set:
            raise StoppedError("The run was stopped.", "Resume it with: opd resume.")

    def set(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask for a stop; a second SIGINT ends the process at once."""
        if _signal == signal.SIGHUP:
            self._on_hang_up()
        if self.is_set and _signal == signal.SIGINT:
            raise KeyboardInterrupt
        self.is_set = True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listen while the block runs (main thread only); what nohup ignores stays ignored."""
        before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
        if before[signal.SIGHUP] == signal.SIG_IGN:
            del before[signal.SIGHUP]
        for number in before:
            signal.signal(number, self.set)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Reporter:
    """Writes a run's events and rollouts, and tells an observer each event after it is on disk.

    Loggers are told as well; what goes wrong with them is a warning, and never behind the last
    event, which says what became of the run.
    """

    def __init__(self, run: RunDirectory, observer: Observer | None = None) -> None:
        self.run = run
        self.step = 0
        self._observer = observer
        self.loggers = Loggers({})
        torn_rollouts = repair_torn_line(run.rollouts_file)
        self._events = EventWriter(run.events_file)
        self._rollouts = open_to_append(run.rollouts_file)
        if self._events.repaired_bytes or torn_rollouts:
            self.warn(
                TORN_LINE_REPAIRED,
                f"The last run ended in the middle of a line; {self._events.repaired_bytes} bytes "
                f"of events and {torn_rollouts} bytes of rollouts were cut off.",
            )

    def emit(self, event: EventBase) -> None:
        """Write an event and pass it on."""
        if isinstance(event, RunFinished | RunPaused | RunFailed):
            self._tell(self.loggers.end())
        written = self._events.write(event)
        if self._observer is not None:
            self._observer(written)
        self.loggers.offer(written)
        self._tell(self.loggers.news())

    def _tell(self, troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            self.warn(trouble.code, trouble.message, trouble.action)

    def phase(
        self,
        phase: Phase,
        detail: str = "",
        done: int | None = None,
        total: int | None = None,
        num_steps: int | None = None,
    ) -> None:
        """Say what the run does now; `num_steps` where it became known only now."""
        self.emit(
            PhaseChanged(
                phase=phase,
                step=self.step,
                detail=detail,
                done=done,
                total=total,
                num_steps=num_steps,
            )
        )

    def finish_step(self, step: int, metrics: dict[str, float]) -> None:
        """Report one optimizer step."""
        self.step = step
        self.emit(StepFinished(step=step, metrics=metrics))

    def warn(self, code: str, message: str, action: str = "") -> None:
        """Report something a person should know."""
        self.emit(Warned(step=self.step, code=code, message=message, action=action))

    def rollout(self, record: RolloutRecord) -> None:
        """Write a rollout and an event that points at it."""
        line = record.model_dump_json().encode() + b"\n"
        with disk_errors(self.run.rollouts_file):
            offset = append_whole(self._rollouts.fileno(), line)
        self.emit(
            RolloutSampled(
                step=record.step,
                offset=offset,
                prompt=_preview(record.prompt),
                completion=_preview(record.completion),
                num_tokens=len(record.token_ids),
                mean_divergence=record.mean_divergence,
                reward=record.reward,
            )
        )

    def sync(self) -> None:
        """Make what was reported survive a power cut."""
        self._events.sync()

    def close(self) -> None:
        """Close the loggers, where no last event has, and the files."""
        self._tell(self.loggers.end())
        self._events.sync()
        self._events.close()
        self._rollouts.close()


@contextmanager
def reported(reporter: Reporter) -> Iterator[None]:
    """Close the log in any case, and say in it why the run ended when it ends by an exception.

    Whatever the exception is, it is raised again, also where the log cannot be written any more.
    """
    try:
        yield
    except BaseException as error:
        told = _in_words(error)
        with suppress(DistillError, OSError):
            # What another process may mend is told by the parent that starts it.
            if not isinstance(told, GpuInterruptedError):
                reporter.emit(_ending(told, reporter.step))
        with suppress(DistillError, OSError):
            reporter.close()
        if told is error:
            raise
        raise told from error
    reporter.close()


@contextmanager
def occupying(
    run: RunDirectory, observer: Observer | None, stop: StopRequest | None
) -> Iterator[tuple[Reporter, StopRequest]]:
    """Hold a run for the block, tell in its log how it ends, and let its work ask for a stop.

    Raises:
        RunError: another process works on it.
    """
    with run.occupied():
        reporter, stop = Reporter(run, observer), stop or StopRequest()
        with reported(reporter), stoppable(stop):
            reporter.loggers = chosen_loggers(run, run.config())
            yield reporter, stop


def announce(
    reporter: Reporter, config: RunConfig, files: Callable[[RunConfig], tuple[DataFile, ...]]
) -> None:
    """Write a run's first event, or that it goes on at the reporter's step.

    `files` says what is in the files that a config names.
    """
    machine = describe_machine()
    if last_event(reporter.run.events_file) is not None:
        reporter.emit(RunResumed(step=reporter.step, machine=machine))
        return
    reporter.emit(
        RunStarted(
            run_id=reporter.run.run_id,
            method=config.method,
            num_steps=num_steps_of(config),
            config_hash=config_hash(config),
            machine=machine,
            files=files(config),
        )
    )
    settings = settings_of(config)
    if isinstance(settings, OptimizerSettings) and settings.logging.in_words:
        reporter.phase("loading", f"Metrics also go to {settings.logging.in_words}.")


def _ending(error: BaseException, step: int) -> RunPaused | RunFailed:
    if isinstance(error, StoppedError):
        return RunPaused(step=step, reason=error.message)
    if isinstance(error, KeyboardInterrupt):
        return RunPaused(step=step, reason=INTERRUPTED)
    failure = describe_failure(error)
    return RunFailed(step=step, code=failure.code, message=failure.message, action=failure.action)


def _in_words(error: BaseException) -> BaseException:
    """What Metal said as an error of ours; any other exception as it is."""
    gpu_error = _gpu_error(error) if isinstance(error, RuntimeError) else None
    return error if gpu_error is None else gpu_error


def _gpu_error(error: RuntimeError) -> GpuError | None:
    """What Metal said, in words; what another process may mend is left to the parent."""
    failure = find_gpu_failure(str(error))
    if failure is None:
        return None
    if failure.passes and is_watched(os.environ):
        # The parent reads Metal's own words, as it does after an abort.
        said = f"{failure.message} Metal said: {str(error).splitlines()[0]}"
        return GpuInterruptedError(said, failure.action, failure.cause)
    return GpuError(failure.message, failure.action, failure.cause)


def describe_machine() -> Machine:
    """Return what this process runs on, without importing MLX."""
    return Machine(
        platform=platform.platform(terse=True),
        processor=processor_name(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        python=platform.python_version(),
        mlx=_installed("mlx"),
        mlx_lm=_installed("mlx-lm"),
        program=_installed("onpolicydistill"),
    )


def process_memory_gb() -> float:
    """Memory of this process in GB (1e9 bytes): footprint on a Mac, resident set elsewhere."""
    return process_memory_bytes(os.getpid()) / 1e9


def free_disk_gb(path: Path) -> float:
    """Space left on the disk that holds a path, in GB (1e9 bytes)."""
    return float(psutil.disk_usage(str(path)).free) / 1e9


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _preview(text: str, limit: int = 200) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
