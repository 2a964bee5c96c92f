"""Policy gradients on groups of rollouts (GRPO and its kin), fused with the projection.

With p the ratio of a token's probability to what it was when the rollout was sampled, A the
rollout's advantage, w the weight of a token of its row, and r the reference's logprob:

    loss = sum w * (-min(p A, clip(p, 1 - epsilon, 1 + epsilon_high) A) + beta * k3)
    k3 = exp(r - logprob) - (r - logprob) - 1

`cispo` takes -min(p, epsilon_high) A logprob instead of the first term, its first factor held
constant. At `sequence` level p is the same for all tokens of a row, the geometric mean of theirs.
The weights say what is averaged, always over the whole step, so that micro-batches add up:

    dapo, cispo   1 / tokens of the step          grpo      1 / (rows * tokens of the row)
    dr_grpo       1 / (rows * longest completion that is allowed)

Sources: GRPO, Shao et al., arXiv 2402.03300; DAPO, Yu et al., arXiv 2503.14476; Dr. GRPO, Liu et
al., arXiv 2503.20783; CISPO, MiniMax-M1, arXiv 2506.13585; GSPO, Zheng et al., arXiv 2507.18071;
two-sided clipping, INTELLECT-2, arXiv 2505.07291; k3, Schulman 2020. Differences: DAPO leaves dead
groups out of its token count, here they stay in it (`max_resamples` replaces them); GSPO as
published averages over rows, which is `grpo` at sequence level.

Only the gradient with respect to a token's logprob depends on all that, and it is one number: a
chunk of positions therefore gives its logprobs and the direction in which the hidden state raises
each, and the logits are forgotten before anything else is known of the row.

Letters: N positions, B rows, V vocabulary, D hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
import numpy as np

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import (
    carry_gradient,
    map_chunks,
    rows_per_chunk,
    rows_per_slice,
)
from OnPolicyDistill.losses.cross_entropy import cross_entropy_terms
from OnPolicyDistill.losses.softened import soften

LossType = Literal["dapo", "grpo", "dr_grpo", "cispo"]
RatioLevel = Literal["token", "sequence"]
# Beyond e^20 a probability ratio says no more than that; float32 ends at e^88, and inf * 0 is nan.
LARGEST_LOG_RATIO = 20.0


@dataclass(frozen=True, slots=True)
class PolicyObjective:
    """What a step minimizes; the module says how.

    `epsilon_high` is what p may exceed 1 by, None for `epsilon`; for cispo it bounds p itself and
    is needed. `delta` bounds p from above also where the advantage is negative. `temperature` is
    the one at which the rollouts were sampled: logprobs are those of that distribution.
    Raises ValueError for cispo without `epsilon_high`.
    """

    loss_type: LossType = "dapo"
    level: RatioLevel = "token"
    epsilon: float = 0.2
    epsilon_high: float | None = None
    delta: float | None = None
    beta: float = 0.0
    temperature: float = 1.0
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        if self.loss_type == "cispo" and self.epsilon_high is None:
            raise ValueError("cispo needs epsilon_high, the largest weight of a token")

    @property
    def highest_ratio(self) -> float:
        """Where p is clipped from above."""
        return 1 + (self.epsilon if self.epsilon_high is None else self.epsilon_high)


@dataclass(frozen=True, slots=True)
class GradedTokens:
    """Completion tokens of B rows with what the loss has to know of them, in the rows' order.

    `labels`, `old_logprobs` and `reference_logprobs` are (N,); `lengths`, `advantages` and
    `weights` have an entry a row. Without old logprobs the policy has not moved since it sampled:
    every ratio is 1, whatever rounding makes of it. The reference is None where `beta` is 0.
    """

    labels: mx.array
    lengths: Sequence[int]
    advantages: Sequence[float]
    weights: Sequence[float]
    old_logprobs: mx.array | None = None
    reference_logprobs: mx.array | None = None


@dataclass(frozen=True, slots=True)
class PolicyStats:
    """What the pass knows about every position, float32 (N,).

    `kl` is k3, 0 without a reference; `clipped_low` and `clipped_high` are 1.0 where the clip
    holds the gradient back, p having left its range in the direction in which it is pushed.
    """

    logprob: mx.array
    entropy: mx.array
    kl: mx.array
    clipped_low: mx.array
    clipped_high: mx.array


def row_weights(
    lengths: Sequence[int], counts: Sequence[bool], loss_type: LossType, max_tokens: int
) -> list[float]:
    """Weight of each token of every row of a whole step; 0 for rows that do not count.

    A row that does not count (it was cut, and the settings mask those) gives no tokens to the
    denominator of dapo and cispo, but stays one of the rows of the other two.
    """
    num_rows = len(lengths)
    num_tokens = sum(n for n, counted in zip(lengths, counts, strict=True) if counted)

    def share(length: int) -> float:
        match loss_type:
            case "dapo" | "cispo":
                return 1 / num_tokens
            case "grpo":
                return 1 / (num_rows * length)
            case "dr_grpo":
                return 1 / (num_rows * max_tokens)

    return [share(n) if counted else 0.0 for n, counted in zip(lengths, counts, strict=True)]


def policy_gradient_loss(
    hidden: mx.array, head: VocabularyHead, tokens: GradedTokens, objective: PolicyObjective
) -> tuple[mx.array, PolicyStats]:
    """The loss of these tokens, a scalar that is differentiable in `hidden` alone, and stats.

    hidden (N, D) are the final hidden states at the positions that predict the labels. The weights
    hold for the whole optimizer step, so that the losses of micro-batches add up. Nothing of
    size (N, V) ever exists.
    """
    logprobs, entropy, direction = _logprobs(hidden, head, tokens.labels, objective)
    advantages = _per_token(tokens.advantages, tokens.lengths)
    weights = _per_token(tokens.weights, tokens.lengths)
    old = logprobs if tokens.old_logprobs is None else tokens.old_logprobs
    log_ratio = logprobs - old
    if objective.level == "sequence":
        log_ratio = _row_means(log_ratio, tokens.lengths)
    ratio = mx.exp(mx.minimum(log_ratio, LARGEST_LOG_RATIO))
    value, slope = surrogate(logprobs, ratio, advantages, objective)
    kl = mx.zeros_like(logprobs)
    if tokens.reference_logprobs is not None:
        kl, kl_slope = k3(logprobs, tokens.reference_logprobs)
        value, slope = value + objective.beta * kl, slope + objective.beta * kl_slope
    loss = carry_gradient((weights * value).sum(), hidden, (weights * slope)[:, None] * direction)
    return loss, PolicyStats(logprobs, entropy, kl, *_clipped(ratio, advantages, objective))


def sampled_logprobs(
    hidden: mx.array, head: VocabularyHead, labels: mx.array, objective: PolicyObjective
) -> mx.array:
    """Float32 logprobs (N,) of labels, by the same arithmetic as the loss; for scoring."""
    return _logprobs(hidden, head, labels, objective)[0]


def surrogate(
    logprobs: mx.array, ratio: mx.array, advantages: mx.array, objective: PolicyObjective
) -> tuple[mx.array, mx.array]:
    """What is minimized of each token before its weight, (N,), and its slope in the logprob."""
    if objective.loss_type == "cispo":
        assert objective.epsilon_high is not None
        held = mx.minimum(ratio, objective.epsilon_high) * advantages
        return -held * logprobs, -held
    bounded = ratio if objective.delta is None else mx.minimum(ratio, objective.delta)
    plain = bounded * advantages
    clipped = mx.clip(ratio, 1 - objective.epsilon, objective.highest_ratio) * advantages
    follows = (plain <= clipped) & (bounded == ratio)
    return -mx.minimum(plain, clipped), mx.where(follows, -ratio * advantages, 0.0)


def k3(logprobs: mx.array, reference_logprobs: mx.array) -> tuple[mx.array, mx.array]:
    """Estimate KL(policy || reference) from sampled tokens, (N,), and its slope in the logprob.

    A reference that finds a token e^20 times more probable counts as finding it e^20 times so.
    """
    gap = reference_logprobs - logprobs
    growth = mx.expm1(mx.minimum(gap, LARGEST_LOG_RATIO))
    return growth - gap, -growth


def _clipped(
    ratio: mx.array, advantages: mx.array, objective: PolicyObjective
) -> tuple[mx.array, mx.array]:
    """Where the clip from below and the one from above hold the gradient back, (N,) each."""
    if objective.loss_type == "cispo":
        assert objective.epsilon_high is not None
        high = (ratio > objective.epsilon_high) & (advantages > 0)
        return mx.zeros_like(ratio), high.astype(mx.float32)
    low = (ratio < 1 - objective.epsilon) & (advantages < 0)
    high = (ratio > objective.highest_ratio) & (advantages > 0)
    return low.astype(mx.float32), high.astype(mx.float32)


def _logprobs(
    hidden: mx.array, head: VocabularyHead, labels: mx.array, objective: PolicyObjective
) -> tuple[mx.array, mx.array, mx.array]:
    """Logprobs of the labels (N,), entropies (N,), and d logprob / d hidden, float32 (N, D)."""
    temperature = objective.temperature
    num_rows = rows_per_chunk(head.vocab_size, objective.chunk_size)

    def score_logits(logits: mx.array, row_labels: mx.array) -> tuple[mx.array, ...]:
        student = soften(logits, temperature)
        negative, gradient = cross_entropy_terms(student, row_labels)
        return -negative, student.entropy(), gradient

    def score(rows: mx.array, row_labels: mx.array) -> tuple[mx.array, ...]:
        logits = head.logits(rows)
        inputs = (logits, row_labels)
        logprobs, entropy, gradient = map_chunks(score_logits, inputs, rows_per_slice(num_rows))
        return logprobs, entropy, -head.hidden_gradient(gradient, logits) / temperature

    logprobs, entropy, direction = map_chunks(score, (mx.stop_gradient(hidden), labels), num_rows)
    return logprobs, entropy, direction


def _per_token(values: Sequence[float], lengths: Sequence[int]) -> mx.array:
    """Repeat a row's value for each of its tokens, float32 (N,)."""
    return mx.array(np.repeat(np.array(values, np.float32), np.array(lengths)))


def _row_means(values: mx.array, lengths: Sequence[int]) -> mx.array:
    """The mean of each row at every one of its tokens, (N,).

    By a product with who belongs to whom and not by a scatter, whose additions have no fixed order
    on a GPU.
    """
    belongs = np.repeat(np.eye(len(lengths), dtype=np.float32), np.array(lengths), axis=0)
    members = mx.array(belongs)  # (N, B)
    return members @ ((values @ members) / mx.array(np.array(lengths, np.float32)))
