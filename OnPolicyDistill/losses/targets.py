"""What the teacher hands over for a batch of positions: hidden states, or top-k plus the tail.

Letters: N positions, V vocabulary, K ids of a set, D hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import map_chunks, rows_per_chunk
from OnPolicyDistill.losses.softened import soften

# EMPTY is a logit without mass, finite because -inf - -inf is nan; a logprob below ABSENT means
# that there is none. The exponential of either is exactly 0.
EMPTY, ABSENT = -1e30, -1e4


@dataclass(frozen=True, slots=True)
class HiddenTargets:
    """The teacher's final hidden states (N, D) and its head: exact over the whole vocabulary."""

    hidden: mx.array
    head: VocabularyHead

    @property
    def arrays(self) -> tuple[mx.array, ...]:
        """The arrays that have one row a position."""
        return (self.hidden,)

    def with_arrays(self, hidden: mx.array) -> HiddenTargets:
        """Targets of other rows, from arrays in the order of `arrays`."""
        return HiddenTargets(hidden, self.head)


@dataclass(frozen=True, slots=True)
class TopKTargets:
    """Teacher logprobs of a set of tokens and of everything else together, at `temperature`.

    `ids` and `logprobs` are (N, K): each token once a row. An entry whose logprob is -inf is
    padding, and its id repeats another of its row. `tail_logprob` (N,) is the log of the mass
    outside the set, -inf when the set is the vocabulary; nothing is renormalized. At temperature
    1, whatever `temperature` is: `top_id` (N,) is the teacher's best token, `label_logprob` (N,)
    the teacher's logprob of the completion token.
    """

    ids: mx.array
    logprobs: mx.array
    tail_logprob: mx.array
    top_id: mx.array
    label_logprob: mx.array
    temperature: float

    @property
    def arrays(self) -> tuple[mx.array, ...]:
        """The arrays that have one row a position, in the order of the fields."""
        return self.ids, self.logprobs, self.tail_logprob, self.top_id, self.label_logprob

    def with_arrays(
        self,
        ids: mx.array,
        logprobs: mx.array,
        tail_logprob: mx.array,
        top_id: mx.array,
        label_logprob: mx.array,
    ) -> TopKTargets:
        """Targets of other rows, from arrays in the order of `arrays`."""
        return TopKTargets(ids, logprobs, tail_logprob, top_id, label_logprob, self.temperature)


Targets = HiddenTargets | TopKTargets


def rows_of(targets: Targets, rows: slice) -> Targets:
    """The targets of some positions."""
    return targets.with_arrays(*(array[rows] for array in targets.arrays))


def check_targets(head: VocabularyHead, targets: Targets, temperature: float) -> None:
    """Raise ValueError unless a student with this head can be compared at this temperature."""
    if isinstance(targets, TopKTargets):
        if targets.temperature != temperature:
            raise ValueError(
                f"the top-k targets are at temperature {targets.temperature}, not {temperature}"
            )
    elif targets.head.vocab_size != head.vocab_size:
        raise ValueError(
            f"the student's head has {head.vocab_size} tokens, "
            f"the teacher's {targets.head.vocab_size}"
        )


def top_ids(
    hidden: mx.array, head: VocabularyHead, k: int, chunk_size: int | None = None
) -> mx.array:
    """Ids (N, k) of the k most probable tokens at hidden (N, D), in no particular order."""

    def score(rows: mx.array) -> tuple[mx.array, ...]:
        return (_best(head.logits(rows), k),)

    chunk_size = rows_per_chunk(head.vocab_size, chunk_size)
    return map_chunks(score, (mx.stop_gradient(hidden),), chunk_size)[0]


def top_k_targets(
    teacher: HiddenTargets,
    labels: mx.array,
    k: int,
    temperature: float,
    also_ids: mx.array | None = None,
    chunk_size: int | None = None,
) -> TopKTargets:
    """Compress exact targets to the teacher's k best tokens, `also_ids` (N, M) and the tail.

    For the reverse KL `also_ids` should hold the student's own likely tokens (`top_ids`): what
    the student wrongly likes is what that divergence is about. labels (N,) are the completion
    tokens. Raises ValueError unless 1 <= k <= V.
    """
    if not 1 <= k <= teacher.head.vocab_size:
        raise ValueError(f"k must be between 1 and {teacher.head.vocab_size}, not {k}")

    def score(hidden: mx.array, row_labels: mx.array, *more: mx.array) -> tuple[mx.array, ...]:
        logits = teacher.head.logits(hidden)
        ids = mx.sort(mx.concatenate([_best(logits, k), *more], axis=-1), axis=-1)
        softened = soften(logits, temperature)
        logprobs = mx.where(_repeats(ids), -mx.inf, softened.logprobs_of(ids))
        tail = (soften(outside(logits, ids), temperature).log_total - softened.log_total)[:, 0]
        tail = mx.where(tail < ABSENT, -mx.inf, tail)
        label_logprob = softened.at_temperature_one().logprobs_of(row_labels[:, None])[:, 0]
        return ids, logprobs, tail, mx.argmax(logits, axis=-1), label_logprob

    more = () if also_ids is None else (also_ids.astype(mx.uint32),)
    chunk_size = rows_per_chunk(teacher.head.vocab_size, chunk_size)
    ids, logprobs, tail, top_id, label_logprob = map_chunks(
        score, (mx.stop_gradient(teacher.hidden), labels, *more), chunk_size
    )
    return TopKTargets(ids, logprobs, tail, top_id, label_logprob, temperature)


def outside(logits: mx.array, ids: mx.array) -> mx.array:
    """Logits (N, V) without those of ids (N, K), so that what is left is the tail.

    The tail's mass is summed from its own tokens, because 1 - (mass of the set) would cancel.
    """
    return mx.put_along_axis(logits, ids, mx.array(EMPTY, logits.dtype), axis=-1)


def _best(logits: mx.array, k: int) -> mx.array:
    return mx.argpartition(-logits, kth=k - 1, axis=-1)[:, :k]


def _repeats(sorted_ids: mx.array) -> mx.array:
    """Mark entries (N, K) that equal the one before them."""
    same = sorted_ids[:, 1:] == sorted_ids[:, :-1]
    first = mx.zeros((same.shape[0], 1), dtype=mx.bool_)
    return mx.concatenate([first, same], axis=-1)
