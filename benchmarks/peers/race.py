"""The on-policy step against TRL's and mlxsmith's, step by step in turn: seconds, memory, learning.

Every program runs in a process and an environment of its own (environments.py) and is stopped
between its steps, so that whatever else the machine does hits all of them. Seconds are divided by
the tokens that the student sampled; the first step of each, which compiles, is left out. Memory is
the largest resident set that the operating system saw of the process while it stepped, for all by
the same meter. The held-out reverse KL is measured by our own code on the students that they leave.

python -m benchmarks.peers.race embedded|larger: one race by itself, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks.peers.environments import PEERS, Unavailable, python_of
from benchmarks.peers.learned import held_out_reverse_kl
from benchmarks.peers.lessons import EMBEDDED, LARGER, Lesson, write_lesson
from benchmarks.spread import spread

OWN = "own"
QUICK_STEPS = 3
# Whom the suite races on the larger shape, where a step takes seconds.
PROMISED = ("trl_distillation",)
MEMORY_LOOKS_PER_SECOND = 50
HERE = Path(__file__).parent


@dataclass(slots=True)
class Racer:
    """One program at work; `seconds` a sampled token, step by step."""

    name: str
    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    num_tokens: list[int] = field(default_factory=list)
    peak_bytes: int = 0

    def hear(self) -> str:
        """The next line that it says; RuntimeError where it has ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}.")
        return line

    def step(self, num_steps: int) -> None:
        """Let it take a step, and watch its memory meanwhile."""
        assert self.process.stdin is not None
        with self._watched():
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            told = json.loads(self.hear())
        self.step_seconds.append(told["seconds"])
        self.num_tokens.append(int(told["num_tokens"]))
        self.seconds.append(told["seconds"] / told["num_tokens"])
        if len(self.seconds) < num_steps:
            self.hear()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        done = threading.Event()
        process = psutil.Process(self.process.pid)

        def watch() -> None:
            while not done.wait(1 / MEMORY_LOOKS_PER_SECOND):
                self.peak_bytes = max(self.peak_bytes, process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Race on both shapes, `repeats` + 1 counted steps on the larger; plain JSON values."""
    if quick:
        small = EMBEDDED.model_copy(update={"num_steps": QUICK_STEPS})
        return {"embedded": race(small)}
    longer = LARGER.model_copy(update={"num_steps": repeats + 2})
    return {"embedded": race(EMBEDDED), "larger": race(longer, PROMISED)}


def race(lesson: Lesson, names: Sequence[str] = tuple(PEERS)) -> dict[str, object]:
    """Teach one lesson by all programs that can be had; plain JSON values."""
    skipped: dict[str, str] = {}
    commands = {OWN: [sys.executable, "-m", "benchmarks.peers.own_worker"]}
    for name in names:
        try:
            commands[name] = [str(python_of(PEERS[name])), str(HERE / PEERS[name].worker)]
        except Unavailable as error:
            skipped[name] = str(error)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / lesson.name
        write_lesson(folder, lesson)
        begun = time.perf_counter()
        racers = _run(commands, folder, lesson)
        learned = {
            racer.name: held_out_reverse_kl(folder, racer.name, lesson.max_tokens)
            for racer in racers
        }
        learned["untrained"] = held_out_reverse_kl(folder, "student", lesson.max_tokens)
    return {
        "setting": lesson.model_dump(),
        "wall_seconds": time.perf_counter() - begun,
        "programs": {racer.name: _described(racer) for racer in racers},
        "held_out_reverse_kl": learned,
        "ratios": {racer.name: _ratios(racers[0], racer) for racer in racers[1:]},
        "skipped": skipped,
    }


def _run(commands: dict[str, list[str]], folder: Path, lesson: Lesson) -> list[Racer]:
    with tempfile.TemporaryFile() as words:
        racers = [
            Racer(
                name,
                subprocess.Popen(
                    [*command, str(folder), name],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=words,
                    text=True,
                ),
            )
            for name, command in commands.items()
        ]
        try:
            for racer in racers:
                racer.hear()
            for number in range(lesson.num_steps):
                for racer in racers if number % 2 == 0 else reversed(racers):
                    racer.step(lesson.num_steps)
            for racer in racers:
                racer.hear()
        finally:
            for racer in racers:
                racer.process.kill()
                racer.process.communicate()
    return racers


def _described(racer: Racer) -> dict[str, object]:
    return {
        "step_seconds": asdict(spread(racer.step_seconds[1:])),
        "milliseconds_a_token": asdict(spread([1e3 * each for each in racer.seconds[1:]])),
        "tokens_a_step": sum(racer.num_tokens) / len(racer.num_tokens),
        "peak_gb": racer.peak_bytes / 1e9,
    }


def _ratios(own: Racer, other: Racer) -> dict[str, object]:
    """Our time and memory as shares of another program's; steps taken in turn are paired."""
    pairs = zip(own.seconds[1:], other.seconds[1:], strict=True)
    memory = own.peak_bytes / other.peak_bytes
    return {
        "step": asdict(spread([mine / theirs for mine, theirs in pairs])),
        "memory": asdict(spread([memory])),
    }


def main() -> None:
    """Race once and print."""
    lessons = {lesson.name: lesson for lesson in (EMBEDDED, LARGER)}
    print(json.dumps(race(lessons[sys.argv[1]], sys.argv[2:] or tuple(PEERS)), indent=2))


if __name__ == "__main__":
    main()
