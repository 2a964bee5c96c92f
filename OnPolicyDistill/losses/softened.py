"""softmax(logits / T) kept as reusable parts, because the exponentials dominate a loss's time.

Letters: N positions, V vocabulary, K ids. All arrays are float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.exponentials import exponential
from OnPolicyDistill.vocabulary import vocabulary_sum


@dataclass(frozen=True, slots=True)
class Softened:
    """A distribution over V tokens at N positions: exponentials / total.

    `logits` (N, V) are raw, `exponentials` (N, V) are exp((logits - peak) / temperature) with the
    row maximum `peak` (N, 1), and `total` (N, 1) is their sum.
    """

    logits: mx.array
    exponentials: mx.array
    peak: mx.array
    total: mx.array
    temperature: float

    @property
    def log_total(self) -> mx.array:
        """Log of the partition sum, (N, 1): logprobs are logits / temperature - log_total."""
        return self.peak / self.temperature + mx.log(self.total)

    @property
    def probabilities(self) -> mx.array:
        """softmax(logits / temperature), (N, V)."""
        return self.exponentials / self.total

    def logprobs_of(self, ids: mx.array) -> mx.array:
        """Logprobs of chosen tokens: ids (N, K) -> (N, K)."""
        chosen = mx.take_along_axis(self.logits, ids, axis=-1)
        return chosen / self.temperature - self.log_total

    def entropy(self) -> mx.array:
        """Entropy in nats, (N,)."""
        # Below the peak: logits themselves, of 30 or so, would cancel against the log total.
        below = vocabulary_sum(self.exponentials * (self.logits - self.peak)) / self.total
        return (mx.log(self.total) - below / self.temperature)[:, 0]

    def at_temperature_one(self) -> Softened:
        """Return the unsoftened distribution, by powers instead of exponentials where T allows."""
        if self.temperature == 1:
            return self
        exponentials = self._power_of_temperature()
        total = vocabulary_sum(exponentials)
        return Softened(self.logits, exponentials, self.peak, total, temperature=1.0)

    def _power_of_temperature(self) -> mx.array:
        if not float(self.temperature).is_integer():
            return exponential(self.logits - self.peak)
        power = self.exponentials
        for _ in range(int(self.temperature) - 1):
            power = power * self.exponentials
        return power


def soften(logits: mx.array, temperature: float) -> Softened:
    """Softmax at a temperature over float32 logits (N, V), with one exponential per logit."""
    peak = logits.max(axis=-1, keepdims=True)
    shifted = logits - peak
    exponentials = exponential(shifted if temperature == 1 else shifted * (1 / temperature))
    total = vocabulary_sum(exponentials)
    return Softened(logits, exponentials, peak, total, temperature)
