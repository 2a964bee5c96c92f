"""Tokens that any rank wants read by a model of which every rank has a part.

Ranks ask at times of their own: micro-batches differ in number, and only the first rank evaluates.
So they meet in rounds. In each every rank says which tokens it wants read, or none; all read what
was asked, rank after rank, and each takes its own answer. Whoever wants nothing more rests, which
is to go round until all do. Between the first question and the rest, a rank asks the others
nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.distributed.ranks import Ranks
from OnPolicyDistill.errors import RankLostError
from OnPolicyDistill.gpu import find_gpu_failure
from OnPolicyDistill.lanes import single_lane
from OnPolicyDistill.models.pieces import read_hidden_states

Tokens = list[list[int]]


@dataclass(frozen=True, slots=True)
class Together:
    """A model in parts, and the ranks that have them."""

    ranks: Ranks
    model: nn.Module

    def read(self, tokens: mx.array) -> mx.array:
        """Final hidden states of this rank's tokens, (B, T) -> (B, T, D).

        Raises:
            RankLostError: another rank is gone.
            StoppedError: a stop was asked for in the middle.
        """
        asked: Tokens = tokens.tolist()  # type: ignore[assignment]
        states = self._round(asked)[1]
        assert states is not None, "what was asked is read"
        return states

    def rest(self) -> None:
        """Read what other ranks ask, until none does.

        Raises:
            RankLostError: another rank is gone.
        """
        while self._round(None)[0]:
            pass

    def _round(self, asked: Tokens | None) -> tuple[bool, mx.array | None]:
        """Whether anybody asked, and the states of what this rank did."""
        wanted: list[Tokens | None] = [
            json.loads(said) for said in self.ranks.gather(json.dumps(asked))
        ]
        own = None
        for rank, tokens in enumerate(wanted):
            if tokens is not None:
                states = self._states(mx.array(tokens))
                own = states if rank == self.ranks.rank else own
        return any(tokens is not None for tokens in wanted), own

    def _states(self, tokens: mx.array) -> mx.array:
        try:
            # Two lanes would have their sums over ranks met in any order.
            with single_lane():
                states = read_hidden_states(self.model, tokens)
                mx.eval(states)
        except RuntimeError as error:
            if find_gpu_failure(str(error)) is not None:
                raise
            raise RankLostError(
                f"Another rank of the run is gone ({str(error).strip().splitlines()[0]}).",
                "What it said is above. Go on from the last checkpoint with: opd resume.",
            ) from error
        return states
