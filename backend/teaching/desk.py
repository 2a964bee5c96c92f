"""Where requests wait and are answered together: one thread has the model, the others the web.

What waits is bounded in number, what is read at once in tokens, so that many callers cost time and
not memory. MLX is touched in the one thread alone.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pydantic import JsonValue

from backend.teaching.answers import answer_row
from backend.teaching.asked import Asked
from OnPolicyDistill.errors import DistillError, RunError
from OnPolicyDistill.losses.targets import HiddenTargets
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout, bucket_length
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.reached import ServedTeacher, save_head
from OnPolicyDistill.teacher.scorer import EXACT
from OnPolicyDistill.teacher.scoring import Teacher

MAX_WAITING = 64
MAX_ROW_TOKENS = 32_768
STOP_SECONDS = 0.2

Choices = list[dict[str, JsonValue]]


class FullError(Exception):
    """As many requests wait as may."""


@dataclass(slots=True)
class _Job:
    asked: Asked
    future: Future[Choices] = field(default_factory=Future)

    @property
    def num_padded(self) -> int:
        """Tokens of its rows as one batch."""
        return len(self.asked.rollouts) * bucket_length(self.asked.longest)


class Desk:
    """Loads a teacher in a thread of its own and answers there; at most `batch_tokens` at once."""

    def __init__(self, model: str, batch_tokens: int, head_file: Path) -> None:
        self._model = model
        self._batch_tokens = batch_tokens
        self._head_file = head_file
        self._jobs: queue.Queue[_Job] = queue.Queue(MAX_WAITING)
        self._ready: Future[ServedTeacher] = Future()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.num_batches = 0

    def open(self) -> ServedTeacher:
        """Load the teacher and say what it is.

        Raises:
            DistillError: it cannot be loaded.
        """
        self._thread.start()
        return self._ready.result()

    def close(self) -> None:
        """Answer nothing more; what is read now is read to its end."""
        self._closed.set()
        self._thread.join()

    def put(self, asked: Asked) -> Future[Choices]:
        """Let a request wait for its answer.

        Raises:
            FullError: too many wait.
        """
        job = _Job(asked)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise FullError from None
        return job.future

    def _work(self) -> None:
        try:
            teacher, policy = self._load()
        except DistillError as error:
            self._ready.set_exception(error)
            return
        while not self._closed.is_set():
            jobs = self._taken()
            if jobs:
                self.num_batches += 1
                self._answer(teacher, _reader(policy), jobs)

    def _load(self) -> tuple[Teacher, Policy]:
        policy = load_policy(self._model)
        teacher = Teacher(policy, TeacherCache(0), EXACT)
        save_head(teacher.head, self._head_file)
        self._ready.set_result(
            ServedTeacher(
                name=self._model,
                fingerprint=policy.fingerprint,
                vocab_size=policy.vocab_size,
                max_row_tokens=min(MAX_ROW_TOKENS, self._batch_tokens),
            )
        )
        return teacher, policy

    def _taken(self) -> list[_Job]:
        """The request that waits longest, and those behind it that are read in the same batch."""
        try:
            jobs = [self._jobs.get(timeout=STOP_SECONDS)]
        except queue.Empty:
            return []
        total = jobs[0].num_padded
        while total < self._batch_tokens:
            try:
                jobs.append(self._jobs.get_nowait())
            except queue.Empty:
                break
            total += jobs[-1].num_padded
        return jobs

    def _answer(self, teacher: Teacher, read: Callable[[int], str], jobs: list[_Job]) -> None:
        """Read all rows of some requests and answer each; what fails fails for all of them."""
        try:
            answers = self._read(
                teacher, read, [(r, job.asked) for job in jobs for r in job.asked.rollouts]
            )
        except (DistillError, ValueError, RuntimeError, MemoryError) as error:
            said = RunError(f"The teacher failed to read the rows: {error}", "Send fewer at once.")
            for job in jobs:
                job.future.set_exception(said)
            return
        for job in jobs:
            choices = [next(answers) for _ in job.asked.rollouts]
            numbered = [{"index": n, **choice} for n, choice in enumerate(choices)]
            job.future.set_result(numbered)

    def _read(
        self,
        teacher: Teacher,
        read: Callable[[int], str],
        rows: Sequence[tuple[Rollout, Asked]],
    ) -> Iterator[dict[str, JsonValue]]:
        answers: list[dict[str, JsonValue]] = []
        for part in _parts(rows, self._batch_tokens):
            targets = teacher.score([rollout for rollout, _ in part], (), EXACT)
            assert isinstance(targets, HiddenTargets)
            start = 0
            for rollout, asked in part:
                end = start + len(rollout.completion_ids)
                hidden = targets.hidden[start:end]
                answers.append(answer_row(rollout, hidden, teacher.head, asked, read))
                start = end
        return iter(answers)


def _parts(
    rows: Sequence[tuple[Rollout, Asked]], batch_tokens: int
) -> Iterator[Sequence[tuple[Rollout, Asked]]]:
    """Rows in order, as many at once as fit into `batch_tokens` when they are padded."""
    start = 0
    while start < len(rows):
        end, longest = start, 0
        while end < len(rows):
            longest = max(longest, bucket_length(len(rows[end][0].token_ids)))
            if end > start and longest * (end + 1 - start) > batch_tokens:
                break
            end += 1
        yield rows[start:end]
        start = end


def _reader(policy: Policy) -> Callable[[int], str]:
    @cache
    def read(token: int) -> str:
        text: str = policy.tokenizer.decode([token])
        return text

    return read
