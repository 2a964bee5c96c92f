"""What share of a chip's bandwidth and arithmetic a program gets, and what it pays besides.

The numbers of `METAL` are fitted to published speeds of MLX on Macs, which
benchmarks/published_speeds.yaml has with their sources: `python -m benchmarks.fit_speeds` makes
them anew from one half of the rows and shows how far off they are on the other half. None was
measured by us on a Mac.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Speeds:
    """The constants of the forecast of time; each has one meaning.

    bandwidth_share: of the memory bandwidth, while decoding reads the weights.
    layer_seconds: of one decoded token and layer that no byte accounts for: launching its kernels.
    expert_layer_seconds: the same once more in a layer of experts: routing, sorting, gathering.
    two_dies_seconds: the same once more on an Ultra, which is two chips.
    matrix_share: of the arithmetic, in products of many tokens with 16-bit weights.
    quantized_share: of that, where the weights are unpacked first.
    accelerators: how many times as much where a chip has them for its products.
    row_share: of the arithmetic in the kernels for a few rows, when packed weights are multiplied
        with each row beyond the first.
    tokens_for_half: tokens that an expert needs at once for half the throughput of large products
        without accelerators; with them as many times more.
    backward_passes: time of a backward pass, in units of a forward pass.
    """

    bandwidth_share: float
    layer_seconds: float
    expert_layer_seconds: float
    two_dies_seconds: float
    matrix_share: float
    quantized_share: float
    accelerators: float
    row_share: float
    tokens_for_half: float
    backward_passes: float


METAL = Speeds(
    bandwidth_share=0.812,
    layer_seconds=50.8e-6,
    expert_layer_seconds=116e-6,
    two_dies_seconds=22.0e-6,
    matrix_share=0.743,
    quantized_share=0.988,
    accelerators=3.52,
    row_share=0.381,
    tokens_for_half=43.2,
    backward_passes=3.82,
)
# Two cores of another processor, fitted to the embedded pair: what its small matrices get, and the
# kernels of a token one after the other.
OTHER_SPEEDS = Speeds(
    bandwidth_share=0.5,
    layer_seconds=0.0033,
    expert_layer_seconds=0.0,
    two_dies_seconds=0.0,
    matrix_share=0.1,
    quantized_share=1.0,
    accelerators=1.0,
    row_share=1.0,
    tokens_for_half=0.0,
    backward_passes=1.0,
)
