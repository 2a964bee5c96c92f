"""Seconds of one pass of a model on a chip: decoding a token, reading rows, learning from them.

Decoding reads every weight once: bytes over bandwidth, and the launching of each layer's kernels.
Reading multiplies: operations over throughput. A forecast; planning/speeds.py has its constants.
"""

from __future__ import annotations

import math

from OnPolicyDistill.planning.chips import Chip
from OnPolicyDistill.planning.dimensions import (
    Dimensions,
    active_weights,
    body_weights,
    head_weights,
)
from OnPolicyDistill.planning.models import ModelFacts

# Matrix kernels work on tiles of this many rows, at about half the throughput of large products;
# the kernels for a few rows are used while they are faster. No published row reaches this far.
TILE_ROWS, TILE_SHARE = 32, 0.5


def decode_seconds(facts: ModelFacts, rows: int, context: float, chip: Chip) -> float:
    """Time to decode one token in each of `rows` rows, `context` tokens behind each."""
    d = facts.dimensions
    kv_bytes = rows * d.kept.read_bytes(context)
    reading = (facts.decode_bytes(rows) + kv_bytes) / chip.bytes_per_second
    return d.num_layers * _launch_seconds(d, chip) + reading + _more_rows_seconds(d, rows, chip)


def read_seconds(facts: ModelFacts, tokens: float, row_tokens: float, chip: Chip) -> float:
    """Time of a forward pass over `tokens` tokens in rows of `row_tokens`, without its logits.

    Short passes take as long as reading the weights.
    """
    d = facts.dimensions
    body = 2 * body_weights(d, 0) + 2 * _expert_weights(d) / _expert_share(d, tokens, chip)
    attention = 2 * d.num_layers * d.query_width * row_tokens
    multiplying = tokens * (body / _packed_share(d, chip) + attention) / chip.operations_per_second
    return max(multiplying, facts.decode_bytes(math.ceil(tokens)) / chip.bytes_per_second)


def project_seconds(dimensions: Dimensions, positions: float, chip: Chip) -> float:
    """Time to make the logits of some positions."""
    return 2 * positions * head_weights(dimensions) / chip.operations_per_second


def backward_passes(chip: Chip, learned_share: float, recomputes: bool, learns_all: bool) -> float:
    """What follows a forward pass while learning, in units of it.

    `learned_share` of the layers lie behind the first adapter: gradients need not go further.
    Recomputing repeats the forward pass; weights that learn need gradients of their own.
    """
    share = chip.speeds.backward_passes * learned_share
    return share + (1.0 if recomputes else 0.0) + (1.0 if learns_all else 0.0)


def _launch_seconds(d: Dimensions, chip: Chip) -> float:
    """What a layer costs beside its bytes."""
    speeds = chip.speeds
    seconds = speeds.layer_seconds + (speeds.expert_layer_seconds if d.num_experts else 0.0)
    return seconds + (speeds.two_dies_seconds if chip.has_two_dies else 0.0)


def _more_rows_seconds(d: Dimensions, rows: int, chip: Chip) -> float:
    """What decoding rows beyond the first costs in arithmetic."""
    operations = 2 * active_weights(d)
    share = chip.speeds.row_share if d.bits < 16 else 1.0
    few = (rows - 1) * operations / (chip.vector_operations_per_second * share)
    tiles = math.ceil(rows / TILE_ROWS) * TILE_ROWS
    return min(few, tiles * operations / (chip.operations_per_second * TILE_SHARE))


def _expert_weights(d: Dimensions) -> int:
    """Weights of the experts that one token passes through."""
    return body_weights(d, d.experts_per_token if d.num_experts else 0) - body_weights(d, 0)


def _expert_share(d: Dimensions, tokens: float, chip: Chip) -> float:
    """Throughput of the experts' products as a share of large ones': few tokens reach each."""
    if not d.num_experts:
        return 1.0
    each = tokens * d.experts_per_token / d.num_experts
    return each / (each + chip.speeds.tokens_for_half * chip.acceleration)


def _packed_share(d: Dimensions, chip: Chip) -> float:
    return chip.speeds.quantized_share if d.bits < 16 else 1.0
