"""The scorer whose policy is on another machine: it sends token ids and gets targets back.

A server of vLLM or sglang hands over the k best logprobs of each position at temperature 1. Our own
(`opd serve-teacher`) also hands over hidden states, and once its vocabulary head: then the targets
are those of a teacher in this process. Rows may be handed over as soon as they are sampled
(`expect`), so that the teacher reads while the student still writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import mlx.core as mx

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.targets import HiddenTargets, Targets, TopKTargets, top_k_targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.asking import Asking, wait
from OnPolicyDistill.teacher.cache import CacheKey, Entry, TeacherCache, digest_tokens
from OnPolicyDistill.teacher.packed import to_mlx
from OnPolicyDistill.teacher.scorer import EXACT, Offer, TargetForm
from OnPolicyDistill.teacher.wire import PATHS, Row, Wanted, question, read_answer

ROWS_PER_REQUEST = 8

Coming = tuple[Future[list[Row]], int]


class RemoteTeacher:
    """A `Scorer` behind HTTP. `head` is the teacher's where it hands over hidden states."""

    def __init__(
        self,
        asking: Asking,
        wanted: Wanted,
        form: TargetForm,
        cache: TeacherCache,
        max_top_k: int,
        head: VocabularyHead | None = None,
    ) -> None:
        self.form = form
        self.cache = cache
        self.head = head
        self._asking = asking
        self._wanted = wanted
        self._max_top_k = max_top_k
        self._coming: dict[bytes, Coming] = {}
        self._expected: list[Rollout] = []
        self._seen = (0, 0)

    @property
    def offer(self) -> Offer:
        """Everything but completions where it hands over hidden states, else a few logprobs."""
        if self.head is not None:
            return Offer(is_exact=True, scores_given=True, completes=False)
        return Offer(is_exact=False, scores_given=False, completes=False, max_top_k=self._max_top_k)

    @property
    def fingerprint(self) -> str:
        """What our own server says of its teacher's files; empty where others say nothing."""
        return self._wanted.teacher

    def cut_to(self, vocab_size: int) -> None:
        """Score over fewer tokens, which are all that several teachers share."""
        self._wanted = replace(self._wanted, vocab_size=vocab_size)
        if self.head is not None:
            self.head = replace(self.head, vocab_size=vocab_size)

    @property
    def is_loaded(self) -> bool:
        """Never: its weights are elsewhere."""
        return False

    @property
    def policy(self) -> Policy:
        """Not offered.

        Raises:
            RunError: always.
        """
        raise RunError(
            "A teacher that is served elsewhere writes no completions here.",
            "Set on_policy_fraction to 1, so that every completion is the student's.",
        )

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """Whether kept rows need the ids that the student likes now, see `score`."""
        return self.head is not None and (form or self.form).kind == "top_k"

    def expect(self, rollout: Rollout) -> None:
        """Begin to ask about a row that `score` will be asked about in the run's own form.

        Rows go out together; what finds the queue full is asked when it is needed.
        """
        self._expected.append(rollout)
        if len(self._expected) == ROWS_PER_REQUEST:
            self._send_expected()

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts as `Teacher.score` does.

        Raises:
            RunError: the server does not answer, or not what it was asked.
            StoppedError: somebody wants this process to stop meanwhile.
        """
        form = form or self.form
        if self._expected and form == self.form:
            self._send_expected()
        entries = self._asked(fresh, form)
        if kept and self.compresses_anew(form):
            entries.append(self._compressed(kept, form, kept_ids))
        elif kept:
            entries += self._kept(kept, form)
        joined = _joined(entries)
        mx.eval(*joined)
        return self._targets(joined, form)

    def cache_metrics(self) -> dict[str, float]:
        """Hit rate since the last call, bytes held and evictions since the start."""
        metrics = self.cache.metrics_since(self._seen)
        self._seen = (self.cache.hits, self.cache.misses)
        return metrics

    def _send_expected(self) -> None:
        rows, self._expected = tuple(self._expected), []
        wanted = self._wanted_in(self.form)
        future = self._asking.offer(
            PATHS[wanted.server],
            question(rows, wanted),
            lambda answer: read_answer(answer, rows, wanted),
        )
        if future is not None:
            self._coming |= {_digest(row): (future, place) for place, row in enumerate(rows)}

    def _asked(self, rows: Sequence[Rollout], form: TargetForm) -> list[Entry]:
        """Every row's entry, in order: those that are coming, and the rest now."""
        known = self._coming if form == self.form else {}
        missing = [row for row in rows if _digest(row) not in known]
        wanted = self._wanted_in(form)
        now: dict[bytes, Coming] = {}
        for start in range(0, len(missing), ROWS_PER_REQUEST):
            part = tuple(missing[start : start + ROWS_PER_REQUEST])
            future = self._asking.ask(
                PATHS[wanted.server],
                question(part, wanted),
                lambda answer, part=part: read_answer(answer, part, wanted),  # type: ignore[misc]
            )
            now |= {_digest(row): (future, place) for place, row in enumerate(part)}
        entries: list[Entry] = []
        for row in rows:
            future, place = known.get(_digest(row)) or now[_digest(row)]
            entries.append(tuple(to_mlx(array) for array in wait(future)[place]))
        for row in rows:
            known.pop(_digest(row), None)
        return entries

    def _kept(self, rows: Sequence[Rollout], form: TargetForm) -> list[Entry]:
        """Entries through the cache; all that it lacks are asked for together."""
        found = {_digest(row): self.cache.get(self._key(row, form)) for row in rows}
        missing = [row for row in rows if found[_digest(row)] is None]
        for row, made in zip(missing, self._asked(missing, form), strict=True):
            self.cache.put(self._key(row, form), made)
            found[_digest(row)] = made
        return [entry for row in rows if (entry := found[_digest(row)]) is not None]

    def _compressed(
        self, rows: Sequence[Rollout], form: TargetForm, student_ids: mx.array | None
    ) -> Entry:
        """Top-k targets of kept rows from their hidden states, with the student's ids of now."""
        if student_ids is None:
            raise ValueError("top-k targets of kept rows need the ids that the student likes now")
        assert self.head is not None
        exact = HiddenTargets(_joined(self._kept(rows, EXACT))[0], self.head)
        labels = mx.array([token for row in rows for token in row.completion_ids])
        return top_k_targets(exact, labels, form.top_k, form.temperature, student_ids).arrays

    def _targets(self, entry: Entry, form: TargetForm) -> Targets:
        if form.kind == "hidden_states":
            assert self.head is not None
            return HiddenTargets(entry[0], self.head)
        ids, logprobs, tail_logprob, top_id, label_logprob = entry
        return TopKTargets(ids, logprobs, tail_logprob, top_id, label_logprob, form.temperature)

    def _wanted_in(self, form: TargetForm) -> Wanted:
        top_k = form.top_k if form.kind == "top_k" else 0
        return replace(self._wanted, top_k=top_k, temperature=form.temperature)

    def _key(self, row: Rollout, form: TargetForm) -> CacheKey:
        return CacheKey(self._wanted.teacher or self._wanted.model, form.name, _digest(row))


def _digest(row: Rollout) -> bytes:
    return digest_tokens(row.token_ids, len(row.prompt_ids))


def _joined(entries: Sequence[Entry]) -> Entry:
    """Rows of several entries below each other."""
    return tuple(mx.concatenate(list(parts)) for parts in zip(*entries, strict=True))
