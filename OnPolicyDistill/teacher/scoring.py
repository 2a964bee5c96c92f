"""The scorer whose policy is in this process: one forward over prompt + completion, targets out.

Rows that will be asked about again (fixed rollouts, the teacher's own completions, evaluation) are
scored one by one and kept in the cache: a row's numbers then never depend on its neighbours, so a
resumed run with a cold cache gets the same bits as one that never stopped. Fresh student rollouts
are scored as one batch and not kept, since the same tokens practically never come again.

Top-k targets need the student's own likely tokens beside the teacher's, and those change as it
learns: a loaded teacher keeps hidden states and compresses them anew for each student. One that is
unloaded keeps the compact form, with what the student liked before it learned.

Letters: B rows, T padded length, N completion positions, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import mlx.core as mx

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.targets import HiddenTargets, Targets, TopKTargets, top_k_targets
from OnPolicyDistill.models.kv_cache import RowCache, Rows, keeps_keys_and_values_only
from OnPolicyDistill.models.loading import unload
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy, vocabulary_head
from OnPolicyDistill.models.seeing import refuse_unseen_pictures
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.teacher.cache import CacheKey, Entry, TeacherCache, digest_tokens
from OnPolicyDistill.teacher.scorer import EXACT, Offer, TargetForm

MIN_SHARED_PREFIX = 32


class Teacher:
    """The frozen policy that grades, a `Scorer`. Once unloaded it answers from the cache alone."""

    def __init__(self, policy: Policy, cache: TeacherCache, form: TargetForm) -> None:
        self._policy: Policy | None = policy
        self._fingerprint = policy.fingerprint
        self.head: VocabularyHead = vocabulary_head(policy)
        self.cache = cache
        self.form = form
        self._seen = (cache.hits, cache.misses)
        self._prefix: tuple[int, ...] = ()

    @property
    def is_loaded(self) -> bool:
        """Whether the teacher's weights are in memory."""
        return self._policy is not None

    @property
    def offer(self) -> Offer:
        """Everything; completions of its own as long as it is loaded."""
        return Offer(is_exact=True, scores_given=True, completes=self.is_loaded)

    @property
    def policy(self) -> Policy:
        """The loaded policy.

        Raises:
            RunError: the teacher was unloaded.
        """
        if self._policy is None:
            raise RunError(
                "The teacher is no longer in memory, and something still needs it.",
                "Set keep_teacher_loaded to true, or teacher_cache_size_mb higher.",
            )
        return self._policy

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> int:
        """Read what all prompts begin with once, and keep its keys and values in the cache.

        From then on every prompt that is scored must begin so. Returns the number of tokens that
        are shared: 0 where it is not worth it (fewer than 32), where the cache has no room, or
        where the model keeps more than keys and values.
        """
        shared = _common_prefix(prompts)
        if len(shared) < MIN_SHARED_PREFIX or not keeps_keys_and_values_only(self.policy.model):
            return 0
        self._prefix = shared
        self._prefix_columns()
        if self._prefix_key() not in self.cache:
            self._prefix = ()
        return len(self._prefix)

    def unload(self) -> None:
        """Give the teacher's memory back; what stays is the vocabulary head, for exact targets."""
        unload(self.policy)
        self._policy = None

    def cache_metrics(self) -> dict[str, float]:
        """Hit rate since the last call, bytes held and evictions since the start."""
        metrics = self.cache.metrics_since(self._seen)
        self._seen = (self.cache.hits, self.cache.misses)
        return metrics

    def expect(self, rollout: Rollout) -> None:
        """Nothing: it reads in this process, where reading ahead would hold up the sampling."""

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """Whether kept rows need the ids that the student likes now, see `score`."""
        return (form or self.form).kind == "top_k" and self.is_loaded

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts in `form` (the run's own by default), evaluated, (N, ...) in row order.

        `fresh` rows go through one forward together; `kept` rows come after them, one by one and
        through the cache. Where `compresses_anew`, `kept_ids` (positions of kept rows, k) are the
        student's best ids now; fresh rows carry the sampler's. Raises ValueError without them.
        """
        form = form or self.form
        entries = [self._forward(fresh, form)] if fresh else []
        if kept and self.compresses_anew(form):
            entries.append(self._compressed(kept, form, kept_ids))
        else:
            entries += [self._entry(rollout, form) for rollout in kept]
        joined = _joined(entries)
        mx.eval(*joined)
        return self._targets(joined, form)

    def keep(
        self,
        rollouts: Sequence[Rollout],
        form: TargetForm | None = None,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> None:
        """Score rollouts into the cache, for a teacher about to be unloaded.

        Raises:
            RunError: the cache is too small to hold them all.
        """
        form = form or self.form
        for done, rollout in enumerate(rollouts, start=1):
            self._entry(rollout, form)
            progress(done)
        missing = sum(self._key(rollout, form) not in self.cache for rollout in rollouts)
        if missing:
            raise RunError(
                f"The teacher cache of {self.cache.capacity_bytes / 1e6:.0f} MB is full: "
                f"{missing} of {len(rollouts)} scored completions did not fit.",
                "Raise teacher_cache_size_mb, use teacher_targets: top_k, or fewer prompts.",
            )

    def _compressed(
        self, rollouts: Sequence[Rollout], form: TargetForm, student_ids: mx.array | None
    ) -> Entry:
        """Top-k targets of kept rows from their hidden states, with the student's ids of now."""
        if student_ids is None:
            raise ValueError("top-k targets of kept rows need the ids that the student likes now")
        hidden = _joined([self._entry(rollout, EXACT) for rollout in rollouts])[0]
        labels = mx.array([token for rollout in rollouts for token in rollout.completion_ids])
        exact = HiddenTargets(hidden, self.head)
        return top_k_targets(exact, labels, form.top_k, form.temperature, student_ids).arrays

    def _entry(self, rollout: Rollout, form: TargetForm) -> Entry:
        key = self._key(rollout, form)
        entry = self.cache.get(key)
        if entry is None:
            entry = self._forward([rollout], form)
            mx.eval(*entry)
            self.cache.put(key, entry)
        return entry

    def _forward(self, rollouts: Sequence[Rollout], form: TargetForm) -> Entry:
        check_stop()
        refuse_unseen_pictures(self.policy.model, [rollout.prompt_ids for rollout in rollouts])
        num_shared = len(self._prefix)
        batch = pack([replace(r, prompt_ids=r.prompt_ids[num_shared:]) for r in rollouts])
        cache = None
        if num_shared:
            assert all(r.prompt_ids[:num_shared] == self._prefix for r in rollouts)
            cache = RowCache.of_prefix(self._prefix_columns(), len(rollouts))
        hidden = self._read(batch.tokens, cache)  # (B, T, D)
        rows = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
        exact = HiddenTargets(rows, self.head)
        if form.kind == "hidden_states":
            return exact.arrays
        also_ids = _sampled_top_ids(rollouts, form.top_k)
        return top_k_targets(exact, batch.labels, form.top_k, form.temperature, also_ids).arrays

    def _read(self, tokens: mx.array, cache: Rows | None) -> mx.array:
        return read_hidden_states(self.policy.model, tokens, cache)

    def _prefix_columns(self) -> Entry:
        """Keys, values and shift of the prefix, from the cache or made again, bit for bit."""
        columns = self.cache.peek(self._prefix_key())
        if columns is None:
            cache = RowCache.empty(self.policy.model, 1)
            read_hidden_states(self.policy.model, mx.array([self._prefix]), cache)
            columns = tuple(cache.prefix_columns())
            mx.eval(*columns)
            self.cache.put(self._prefix_key(), columns)
        return columns

    def _prefix_key(self) -> CacheKey:
        tokens = digest_tokens(self._prefix, len(self._prefix))
        return CacheKey(self._fingerprint, "prefix", tokens)

    def _targets(self, entry: Entry, form: TargetForm) -> Targets:
        if form.kind == "hidden_states":
            return HiddenTargets(entry[0], self.head)
        ids, logprobs, tail_logprob, top_id, label_logprob = entry
        return TopKTargets(ids, logprobs, tail_logprob, top_id, label_logprob, form.temperature)

    def _key(self, rollout: Rollout, form: TargetForm) -> CacheKey:
        tokens = digest_tokens(rollout.token_ids, len(rollout.prompt_ids))
        return CacheKey(self._fingerprint, form.name, tokens)


def _joined(entries: Sequence[Entry]) -> Entry:
    """Rows of several entries below each other."""
    return tuple(mx.concatenate(list(parts)) for parts in zip(*entries, strict=True))


def _common_prefix(prompts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Tokens that all prompts begin with, short of the last one of each."""
    first, last = min(prompts, key=tuple), max(prompts, key=tuple)
    longest = min(len(prompt) for prompt in prompts) - 1
    shared = 0
    while shared < longest and first[shared] == last[shared]:
        shared += 1
    return tuple(first[:shared])


def _sampled_top_ids(rollouts: Sequence[Rollout], k: int) -> mx.array:
    """The sampler's own k best ids at each position, (N, k): what the student wrongly likes.

    Positions whose best ids were not kept get id 0 k times, which adds one honestly scored id.
    """
    rows: list[list[int]] = []
    for rollout in rollouts:
        tops = [list(top.ids[:k]) for top in rollout.top_logprobs]
        tops += [[]] * (len(rollout.completion_ids) - len(tops))
        rows.extend(ids + [0] * (k - len(ids)) for ids in tops)
    return mx.array(rows)
