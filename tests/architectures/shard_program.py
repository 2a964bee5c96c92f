"""A rank that reads tiny models whole and in shards, and writes how far the two are apart.

Arguments: a file to write, then architectures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlx.core as mx

import OnPolicyDistill.arrays  # noqa: F401  the door to MLX
from OnPolicyDistill.distributed.launching import say_met
from OnPolicyDistill.distributed.ranks import Ranks, joined
from OnPolicyDistill.distributed.together import Together
from OnPolicyDistill.models.parameters import count_parameters
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.teacher.shards import cut
from tests.architectures.tiny import VOCAB_SIZE, tiny_model

ROWS = [[(7 * place + 3 * row) % VOCAB_SIZE for place in range(12)] for row in range(3)]


def apart(ranks: Ranks, architecture: str) -> float:
    """Largest difference of final hidden states, relative to the largest of them.

    The first rank asks for two rows more than the other, and once more behind it.
    """
    whole, shard = tiny_model(architecture), tiny_model(architecture)
    cut(shard, architecture, ranks)
    together = Together(ranks, shard)
    asked = [ROWS, ROWS[:1]] if ranks.is_first else [ROWS[1:2]]
    worst = 0.0
    for rows in asked:
        expected, found = hidden_states(whole, mx.array(rows)), together.read(mx.array(rows))
        difference = mx.abs(found - expected).max() / mx.abs(expected).max()
        worst = max(worst, float(difference.item()))
    together.rest()
    return max(map(float, ranks.gather(str(worst))))


def held(ranks: Ranks, architecture: str) -> float:
    """Share of a model's layers that the rank with most of them holds."""
    whole, shard = tiny_model(architecture), tiny_model(architecture)
    cut(shard, architecture, ranks)
    numbers = [count_parameters([layer.parameters() for layer in m.layers]) for m in (shard, whole)]
    return max(map(float, ranks.gather(str(numbers[0] / numbers[1]))))


if __name__ == "__main__":
    file, *architectures = sys.argv[1:]
    with joined("ring") as these:
        say_met()
        seen = {name: (apart(these, name), held(these, name)) for name in architectures}
        if these.is_first:
            Path(file).write_text(json.dumps(seen), encoding="utf-8")
