"""A model's vocabulary projection as plain arrays, so that losses need not know models.

Letters: N positions, D hidden width, V real vocabulary, P padded logit width (P >= V),
K tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx

# Float32 weights that are made at once where a head has 16 bits. About a dozen such slices are
# alive at a time, most of them waiting to be freed while the device catches up.
SLICE_BYTES = 16 * 2**20
EXACT_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a packed weight was quantized, in MLX's terms; `scales` and `biases` are (P, groups)."""

    scales: mx.array
    biases: mx.array | None
    group_size: int
    bits: int
    mode: str = "affine"


@dataclass(frozen=True, slots=True)
class VocabularyHead:
    """Maps final hidden states to logits over the tokenizer's real vocabulary.

    `weight` is (P, D), or packed when `quantization` is set; `bias` is (P,). Rows from
    `vocab_size` on are padding that no token has: they carry probability mass and differ between
    sizes of one family (Qwen2.5: 151936 and 152064), so they are cut away before any softmax.

    Some families do more to their logits: the projection z becomes scale * z, and with a soft cap
    c then c * tanh(scale * z / c), which keeps every logit between -c and c.
    """

    weight: mx.array
    vocab_size: int
    bias: mx.array | None = None
    quantization: Quantization | None = None
    scale: float = 1.0
    cap: float | None = None

    def logits(self, hidden: mx.array) -> mx.array:
        """Float32 logits of the real vocabulary: hidden (N, D) -> (N, V), exact to float32.

        A product of 16-bit numbers is rounded to 16 bits, which between 16 and 32 are 0.125
        apart: as much as a half-trained student and its teacher. Quantized weights take float32
        states as they are; those of 16 bits are turned into float32 a slice at a time. Autodiff
        would keep every slice: differentiate `plain_logits`.
        """
        states = hidden.astype(mx.float32)
        if self._is_sliced:
            parts: list[mx.array] = []
            for _, weight in self._weight_slices(parts):
                parts.append(states @ weight.T)
            logits = mx.concatenate(parts, axis=-1)
        else:
            logits = self._project(states, transpose=True)
        return self._finished(logits)

    def plain_logits(self, hidden: mx.array) -> mx.array:
        """Logits by one product in the head's own type, made float32 (N, V) afterwards.

        For a head that learns, and as what exact logits are compared with.
        """
        return self._finished(self._project(hidden, transpose=True))

    def sampling_logits(self, hidden: mx.array) -> mx.array:
        """Logits (N, V) for drawing one token a row: exact wherever mass is, at little cost.

        Turning all 16-bit weights into float32 would be paid for every token that is drawn. The
        best EXACT_TOKENS of each row are exact, the others as `plain_logits` has them: as
        rounding goes up as often as down, their sum hardly changes.
        """
        if not self._is_sliced:
            return self.logits(hidden)
        rounded = self.plain_logits(hidden)
        num_exact = min(EXACT_TOKENS, self.vocab_size)
        ids = mx.argpartition(-rounded, num_exact - 1, axis=-1)[:, :num_exact]  # (N, K)
        states = hidden.astype(mx.float32)[:, :, None]  # (N, D, 1)
        exact = (self.weight[ids].astype(mx.float32) @ states)[:, :, 0]
        if self.bias is not None:
            exact = exact + self.bias[ids]
        return mx.put_along_axis(rounded, ids, self._mapped(exact), axis=-1)

    def hidden_gradient(self, logits_gradient: mx.array, logits: mx.array) -> mx.array:
        """Pull a gradient of the logits (N, V) back to the hidden states: (N, D), float32.

        `logits` are those that `logits` gave for these states: a soft cap's slope is read off them.
        """
        slope = logits_gradient.astype(mx.float32)
        if self.cap is not None:
            height = logits * (1 / self.cap)  # tanh, whose slope is 1 - tanh^2
            slope = slope * ((1 - height) * (1 + height))
        gradient = self._pulled_back(slope)
        return gradient if self.scale == 1 else gradient * self.scale

    def _pulled_back(self, slope: mx.array) -> mx.array:
        """Times the projection's weights: (N, V) -> (N, D)."""
        if not self._is_sliced:
            return self._project(slope, transpose=False)
        total: list[mx.array] = []
        for start, weight in self._weight_slices(total):
            share = slope[:, start : start + weight.shape[0]] @ weight
            total[:] = [total[0] + share] if total else [share]
        return total[0]

    @property
    def rounds(self) -> bool:
        """Whether a model's own logits are rounded to fewer bits than float32 has."""
        return self.quantization is not None or self._is_sliced

    @property
    def _is_sliced(self) -> bool:
        return self.quantization is None and self.weight.dtype != mx.float32

    def _weight_slices(self, made: list[mx.array]) -> Iterator[tuple[int, mx.array]]:
        """First row and float32 weights (rows, D) of slices of the vocabulary, one at a time.

        Each waits for what the caller made of the one before, the last of `made`: MLX would
        otherwise turn all slices into float32 first.
        """
        num_rows = max(SLICE_BYTES // (4 * self.weight.shape[-1]), 1)
        for start in range(0, self.vocab_size, num_rows):
            weight = self.weight[start : min(start + num_rows, self.vocab_size)]
            if made:
                (weight,) = mx.depends([weight], [made[-1]])
            yield start, weight.astype(mx.float32)

    def _finished(self, projected: mx.array) -> mx.array:
        """Float32 logits of a projection: bias, scale and cap."""
        logits = projected.astype(mx.float32)
        if self.bias is not None:
            logits = logits + self.bias[: self.vocab_size]
        return self._mapped(logits)

    def _mapped(self, logits: mx.array) -> mx.array:
        """What a family does to its logits after the head: scale, then cap."""
        if self.scale != 1:
            logits = logits * self.scale
        return logits if self.cap is None else mx.tanh(logits * (1 / self.cap)) * self.cap

    def _project(self, values: mx.array, transpose: bool) -> mx.array:
        V = self.vocab_size
        packed = self.quantization
        if packed is None:
            return values @ (self.weight[:V].T if transpose else self.weight[:V])
        return mx.quantized_matmul(
            values,
            self.weight[:V],
            scales=packed.scales[:V],
            biases=None if packed.biases is None else packed.biases[:V],
            transpose=transpose,
            group_size=packed.group_size,
            bits=packed.bits,
            mode=packed.mode,
        )
