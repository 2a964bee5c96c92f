"""A teacher of which every rank has a shard: a `Scorer` whose forward all ranks do together.

It hands over hidden states as a whole one does, equal to 1e-5, since mlx-lm's own sharding only
adds up in another order. It writes no completions of its own.
"""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.distributed.ranks import Ranks
from OnPolicyDistill.distributed.together import Together
from OnPolicyDistill.errors import ConfigError, ModelError
from OnPolicyDistill.models.kv_cache import Rows
from OnPolicyDistill.models.loading import find_folder, load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.planning.sharding import sharding_problem, way_to_shard
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import Offer, TargetForm
from OnPolicyDistill.teacher.scoring import Teacher


class ShardedTeacher(Teacher):
    """A frozen policy in shards. All ranks have to `rest` where one of them may have asked it."""

    def __init__(self, policy: Policy, cache: TeacherCache, form: TargetForm, ranks: Ranks) -> None:
        self._together = Together(ranks, policy.model)
        super().__init__(policy, cache, form)

    @property
    def offer(self) -> Offer:
        """Everything but completions of its own."""
        return Offer(is_exact=True, scores_given=True, completes=False)

    def rest(self) -> None:
        """Read what other ranks ask, until none does."""
        self._together.rest()

    def _read(self, tokens: mx.array, cache: Rows | None) -> mx.array:
        assert cache is None, "a prefix is shared by a whole teacher alone"
        return self._together.read(tokens)


def load_shard(name: str, mixed_precision: bool, num_shards: int, ranks: Ranks) -> Policy:
    """Load this rank's shard of a model; what it does not hold of a weight is let go at once.

    Raises:
        ConfigError: there are not as many ranks as shards.
        ModelError: the model cannot be cut so, found or read.
    """
    if ranks.size != num_shards:
        raise ConfigError(
            f"teacher_shards is {num_shards}, and this run has {ranks.size} "
            f"{'rank' if ranks.is_alone else 'ranks'}.",
            f"Start it with -n {num_shards} or with {num_shards} hosts (--hosts).",
        )
    problem = sharding_problem(read_json(find_folder(name) / "config.json"), name, num_shards)
    if problem is not None:
        raise problem
    policy = load_policy(name, mixed_precision, cut=lambda model: cut(model, name, ranks))
    return replace(policy, fingerprint=f"{policy.fingerprint}-in-{num_shards}")


def cut(model: nn.Module, name: str, ranks: Ranks) -> None:
    """Leave this rank's shard of a model whose weights are not read yet, by mlx-lm's own code.

    Raises:
        ModelError: a matrix of it cannot be cut evenly.
    """
    assert ranks.group is not None, "shards are of several ranks"
    try:
        if way_to_shard(str(model.model_type)) == "tensor":
            model.shard(ranks.group)
        else:
            model.model.pipeline(ranks.group)
    except ValueError as error:
        raise ModelError(
            f"{name} cannot be cut over {ranks.size} ranks ({error}).",
            "Set teacher_shards, and the number of ranks, to a number that divides its sizes.",
        ) from error
