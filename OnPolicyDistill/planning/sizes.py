"""How large a known model's weights are at several numbers of bits, and what this machine holds."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from OnPolicyDistill.machine import raised_gpu_limit
from OnPolicyDistill.planning.advice import Verdict, verdict_of
from OnPolicyDistill.planning.chips import OTHER_PROCESSOR, find_chip, this_chip
from OnPolicyDistill.planning.dimensions import parse_dimensions, weight_bytes
from OnPolicyDistill.planning.memory import RUNTIME_BYTES
from OnPolicyDistill.planning.plan import GIB, OTHER_SHARE, gpu_limit
from OnPolicyDistill.registry import KnownModel

# What mlx_lm.convert makes of any model; 16 is how it was published.
BITS = (16, 8, 4)


def memory_limit(memory_gb: float | None = None, chip: str | None = None) -> int:
    """Bytes that a run may use: on this machine unless memory or chip are given, as for a plan.

    Raises:
        InputError: no such chip.
    """
    machine = this_chip() if chip is None else find_chip(chip)
    total = psutil.virtual_memory().total if memory_gb is None else round(memory_gb * GIB)
    is_mac = memory_gb is not None or machine is not OTHER_PROCESSOR
    limit = gpu_limit(total) if is_mac else round(total * OTHER_SHARE)
    here = memory_gb is None and chip is None
    return (raised_gpu_limit() or limit) if here else limit


def fits(size: int, limit: int) -> Verdict:
    """Say whether weights of so many bytes fit on a machine, with what MLX itself needs."""
    return verdict_of(size + RUNTIME_BYTES, limit)


def bytes_by_bits(known: KnownModel) -> Mapping[int, int]:
    """Bytes of a model's weights by bits a weight; empty where its dimensions are not here.

    Models that were published with packed experts have one size, which stands under 16.
    """
    if not known.config:
        return {}
    is_packed = parse_dimensions(known.config, known.alias).expert_bits > 0
    return {bits: _bytes_at(known, bits) for bits in (BITS[:1] if is_packed else BITS)}


def largest_that_fits(sizes: Mapping[int, int], limit: int) -> int | None:
    """The most bits a weight with which a model fits; None where it does not with the fewest."""
    return next((bits for bits, size in sizes.items() if fits(size, limit) != "does_not_fit"), None)


def _bytes_at(known: KnownModel, bits: int) -> int:
    packed = {} if bits == BITS[0] else {"quantization": {"bits": bits}}
    return weight_bytes(parse_dimensions({**known.config, **packed}, known.alias))
