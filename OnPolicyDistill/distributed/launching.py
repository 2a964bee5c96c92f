"""Starting the ranks of a run under `mlx.launch`, and what became of the run.

`mlx.launch` exits 0 whatever became of the ranks, and ends the others as soon as one fails, in the
middle of what the first rank still has to save. So a rank runs in a shell that hides how it ended
once the ranks have met: the others find out by themselves that it is gone. What is believed is the
last event of the run's log, which only the first rank writes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from OnPolicyDistill.distributed.hosts import Backend, Hosts
from OnPolicyDistill.errors import DistillError, InputError, RankLostError, StoppedError
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RunFailed, RunFinished, RunPaused
from OnPolicyDistill.runs.log import last_event

MET_VARIABLE = "OPD_RANKS_MET"
# The rank says in a file that the ranks have met; from then on this shell exits 0, and only says
# how it ended, for the log (runs/ranks.py). It passes on
# that it shall end, which a shell that waits for a child in the foreground would not.
RANK_SHELL = f"""
export {MET_VARIABLE}="$(mktemp)"
"$@" & rank=$!
trap 'kill -TERM $rank' TERM
wait $rank; code=$?
trap - TERM
wait $rank 2>/dev/null
echo "rank ${{MLX_RANK:-0}} ended with code $code" >&2
[ -s "${MET_VARIABLE}" ] && code=0
rm -f "${MET_VARIABLE}"
exit $code
"""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NUM_TRIED_PORTS = 50


@dataclass(frozen=True, slots=True)
class Places:
    """Where ranks run: `num_ranks` of them on this machine, or one on each host."""

    num_ranks: int
    backend: Backend
    hosts: Hosts | None = None


def say_met() -> None:
    """Tell the shell around this rank that the ranks have met."""
    told = os.environ.get(MET_VARIABLE)
    if told is not None:
        Path(told).write_text("met", encoding="utf-8")


def run_ranks(run: RunDirectory, places: Places, command: Sequence[str]) -> None:
    """Run a command as every rank, until the run is finished; the first rank works on the run.

    A first signal asks the first rank to stop with a checkpoint, a second one ends all of them.

    Raises:
        StoppedError: the run was paused.
        DistillError: it failed, in the words of its log, or ended without a word.
    """
    event = last_event(run.events_file)
    before = None if event is None else event.seq
    with ExitStack() as stack:
        launch = [str(_launcher()), *_options(places, stack), "--", *_in_shell(command)]
        # It reads its input all the time: a pipe that says nothing keeps it from spinning.
        with (
            subprocess.Popen(launch, stdin=subprocess.PIPE, process_group=0) as ranks,
            _signals_passed_on(run, ranks),
        ):
            ranks.wait()
    _judge(run, before)


def _in_shell(command: Sequence[str]) -> list[str]:
    return ["bash", "-c", RANK_SHELL, "rank", *command]


def _launcher() -> Path:
    launcher = Path(sys.executable).with_name("mlx.launch")
    if not launcher.exists():
        raise InputError(
            f"{launcher} is not there, which starts the ranks.", "Install mlx again: it brings it."
        )
    return launcher


def _options(places: Places, stack: ExitStack) -> list[str]:
    backend = ["--backend", places.backend]
    if places.hosts is None:
        port = _free_ports(places.num_ranks)
        return [*backend, "-n", str(places.num_ranks), "--starting-port", str(port)]
    file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "hosts.json"
    file.write_text(json.dumps(places.hosts.for_launch()), encoding="utf-8")
    return [*backend, "--hostfile", str(file), "--cwd", str(Path.cwd())]


def _free_ports(number: int) -> int:
    """The first of `number` ports in a row that nobody listens on here now."""
    for _ in range(NUM_TRIED_PORTS):
        with closing(socket.socket()) as drawn:
            drawn.bind(("127.0.0.1", 0))
            first: int = drawn.getsockname()[1]
        if first + number < 65_536 and all(map(_is_free, range(first, first + number))):
            return first
    raise InputError(f"No {number} ports in a row are free here.", "Close what listens on them.")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def _signals_passed_on(run: RunDirectory, ranks: subprocess.Popen[bytes]) -> Iterator[None]:
    asked: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        worker = run.worker()
        with suppress(ProcessLookupError):
            if asked:
                os.killpg(ranks.pid, signal.SIGKILL)  # one that waits for a host hears nothing else
            elif worker is not None and worker.is_alive():
                os.kill(worker.pid, signal.SIGTERM)
            else:
                os.killpg(ranks.pid, signal.SIGTERM)
        asked.append(number)

    before = {number: signal.signal(number, pass_on) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _judge(run: RunDirectory, before: int | None) -> None:
    """Believe the last event of the log, where it is newer than `before`.

    Raises:
        StoppedError: the run was paused.
        DistillError: it failed, or the first rank ended without a word.
    """
    event = last_event(run.events_file)
    if event is None or event.seq == before:
        raise RankLostError(
            f"The ranks never began to work on {run.run_id}.", "What they said is above."
        )
    if isinstance(event, RunFinished):
        return
    if isinstance(event, RunPaused):
        raise StoppedError(_paused(run), f"Go on with: opd resume {run.run_id}")
    if isinstance(event, RunFailed):
        raise DistillError(event.message, event.action)
    raise RankLostError(
        f"The first rank of {run.run_id} ended without a word; it stands {_where(run)}.",
        f"Go on with: opd resume {run.run_id}",
    )


def _paused(run: RunDirectory) -> str:
    return f"Run {called(run)} is paused {_where(run)}."


def _where(run: RunDirectory) -> str:
    saved = last_checkpoint(run)
    return "before its first step" if saved is None else f"at step {int(saved.name)}"
