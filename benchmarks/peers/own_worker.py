"""Our side of the race: a run of `on_policy`, step by step.

python -m benchmarks.peers.own_worker LESSON: says `ready`, takes one optimizer step for every line
of its input and answers with one JSON object a step, as benchmarks/peers/trl_worker.py does. What
is timed is the whole loop, with its events on disk, from one step's end to the next one's.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TextIO

from benchmarks.peers.lessons import Lesson
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import EvaluationFinished, Event, StepFinished
from OnPolicyDistill.trainers.on_policy import train


class Paced:
    """Watches a run's events: waits for a line before every step, tells what each took."""

    def __init__(self, answers: TextIO, num_steps: int) -> None:
        self._answers = answers
        self._num_steps = num_steps
        self._begun = 0.0

    def __call__(self, event: Event) -> None:
        """Hear of an event."""
        if isinstance(event, EvaluationFinished) and event.step == 0:
            self._wait()
        if isinstance(event, StepFinished):
            taken = time.perf_counter() - self._begun
            self.say(json.dumps({"seconds": taken, "num_tokens": event.metrics["num_tokens"]}))
            if event.step < self._num_steps:
                self._wait()

    def say(self, line: str) -> None:
        """Answer whoever asks."""
        self._answers.write(line + "\n")
        self._answers.flush()

    def _wait(self) -> None:
        self.say("ready")
        sys.stdin.readline()
        self._begun = time.perf_counter()


def main() -> None:
    """Train as told and answer on the real standard output."""
    answers, sys.stdout = sys.stdout, sys.stderr
    folder = Path(sys.argv[1])
    lesson = Lesson.model_validate_json((folder / "lesson.json").read_text(encoding="utf-8"))
    run = create_run(folder, parse_config({"distillation": lesson.settings(folder)}))
    pace = Paced(answers, lesson.num_steps)
    train(run, pace)
    (folder / "own.txt").write_text(str(run.path), encoding="utf-8")
    pace.say("saved")


if __name__ == "__main__":
    main()
