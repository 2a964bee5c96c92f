"""What adapters on the experts of a mixture cost in time, which a forecast must not call small.

Theirs have more parameters than all other adapters together, and every one of them passes through
the optimizer at every step, whether or not a token met its expert.
"""

from __future__ import annotations

from OnPolicyDistill.planning.chips import Chip
from OnPolicyDistill.planning.workload import Workload

# AdamW in float32 reads and writes the gradient, both moments and the parameter, with copies
# between: 12 ms for 2.5 million parameters at 8 GB/s on the processor it was measured on.
OPTIMIZER_BYTES = 40
# Products of a low rank keep their matrices' width busy, not their depth: half of large ones.
LOW_RANK_SHARE = 0.5


def expert_adapter_seconds(work: Workload, chip: Chip, rows: int) -> float:
    """Seconds that adapters on experts add to a learning pass over `rows` rows and its step."""
    targets = work.adapter_targets
    if targets is None or work.lora is None:
        return 0.0
    maps = [found for layer in targets.layers for found in layer if found.is_expert]
    one_expert = work.lora.rank * sum(found.outputs + found.inputs for found in maps)
    all_experts = work.lora.rank * sum(
        found.copies * (found.outputs + found.inputs) for found in maps
    )
    met = one_expert * work.student.dimensions.experts_per_token
    # Forward, the gradients of both matrices and of what came in, and forward again.
    passes = 3 + (1 if work.settings.grad_checkpoint else 0)
    operations = 2 * passes * met * rows * work.typical_row_tokens
    learning = operations / (chip.operations_per_second * LOW_RANK_SHARE)
    return learning + OPTIMIZER_BYTES * all_experts / chip.bytes_per_second
