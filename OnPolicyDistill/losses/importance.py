"""What rollouts are worth that the student of some steps ago sampled.

With rho_k the probability of the k-th token of a completion to the student now, over what it was
when it was sampled, the loss at position i is weighted by

    w_i = min(WEIGHT_LIMIT, rho_1 * ... * rho_{i-1})

the probability of coming to that position now over that of then: what is learned there, a sum over
the whole vocabulary, does not depend on the token that was drawn. A divergence that is estimated
from that token alone takes its ratio too, up to rho_i. Weights are constants to the gradient, and
the normalizer stays the number of tokens.

Sources: the product over the steps so far is per-decision importance sampling (Precup, Sutton and
Singh, ICML 2000), which leaves out what comes later; the bound is truncated importance sampling
(Ionides, JCGS 17, 2008), here at the 2 that libraries for reinforcement learning take. Without the
bound the expectation is that of fresh rollouts, with it tokens that became much likelier count too
little. GRPO's ratio of a single token (losses/grpo.py) would weigh the wrong thing here.

Letters: N positions, B rows, L the longest row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

WEIGHT_LIMIT = 2.0


@dataclass(frozen=True, slots=True)
class ReusedTokens:
    """Completion tokens of B rows, in the rows' order, that were sampled some steps ago.

    `labels` and `old_logprobs` are (N,): the tokens, and their logprobs (nats) when sampled.
    `lengths` has an entry a row.
    """

    labels: mx.array
    old_logprobs: mx.array
    lengths: Sequence[int]

    def of(self, rows: slice, positions: slice) -> ReusedTokens:
        """Those of some rows, whose positions are given."""
        parts = self.labels[positions], self.old_logprobs[positions]
        return ReusedTokens(*parts, self.lengths[rows])


def importance_weights(logprobs: mx.array, reused: ReusedTokens, with_own: bool) -> mx.array:
    """Weight of each position, float32 (N,), from what the labels' logprobs (N,) are now.

    `with_own` takes the ratio of the position's own token into its weight.
    """
    log_ratios = mx.stop_gradient(logprobs) - reused.old_logprobs
    lengths = np.array(reused.lengths)
    B, L = len(lengths), int(lengths.max())
    filled = np.arange(L) < lengths[:, None]  # (B, L)
    places = np.zeros((B, L), np.int32)
    places[filled] = np.arange(int(lengths.sum()))
    grid = mx.where(mx.array(filled), log_ratios[mx.array(places)], 0.0)  # (B, L)
    reached = mx.cumsum(grid, axis=1, inclusive=with_own).reshape(-1)
    reached = reached[mx.array(np.flatnonzero(filled).astype(np.int32))]  # (N,)
    return mx.exp(mx.minimum(reached, math.log(WEIGHT_LIMIT)))
