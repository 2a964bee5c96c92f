"""A model's vocabulary projection as plain arrays, so that losses need not know models.

Letters: N positions, D hidden width, V real vocabulary, P padded logit width (P >= V).
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx


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
    """

    weight: mx.array
    vocab_size: int
    bias: mx.array | None = None
    quantization: Quantization | None = None

    def logits(self, hidden: mx.array) -> mx.array:
        """Float32 logits of the real vocabulary: hidden (N, D) -> (N, V)."""
        logits = self._project(hidden, transpose=True)
        if self.bias is not None:
            logits = logits + self.bias[: self.vocab_size]
        return logits.astype(mx.float32)

    def hidden_gradient(self, logits_gradient: mx.array) -> mx.array:
        """Pull a gradient of the logits (N, V) back to the hidden states (N, D)."""
        return self._project(logits_gradient.astype(self.dtype), transpose=False)

    @property
    def dtype(self) -> mx.Dtype:
        """The type the projection computes in."""
        return self.weight.dtype if self.quantization is None else self.quantization.scales.dtype

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
