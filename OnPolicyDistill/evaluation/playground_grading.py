"""A teacher that grades a completion while it is written, with its own cache behind it.

Letters: T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from OnPolicyDistill.arrays import float_list, int_list
from OnPolicyDistill.evaluation.playground_messages import Grade, TopToken
from OnPolicyDistill.models.kv_cache import RowCache
from OnPolicyDistill.models.layer_caches import LayerCache
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.token_text import token_text
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Sight
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.vocabulary import log_partition

TOP = 5
PREFILL_TOKENS = 512


class Grader:
    """A teacher that follows a completion; `vocab_size` is what both models share."""

    def __init__(self, teacher: Policy, prompt: Sequence[int], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._teacher = teacher
        self._model: nn.Module = teacher.model
        # A model that sees has to know where its pictures ended; the others may keep anything.
        sees = isinstance(self._model, SeeingModel)
        make = _seeing_cache if sees else make_prompt_cache
        self._cache = make(self._model)
        self._last = prompt[-1]
        for start in range(0, len(prompt) - 1, PREFILL_TOKENS):
            check_stop()
            chunk = list(prompt[start : min(start + PREFILL_TOKENS, len(prompt) - 1)])
            self._model(mx.array([chunk]), cache=self._cache)
            # Logits are not needed, and what is not evaluated is not computed.
            mx.eval([layer.state for layer in self._cache])

    def grade(self, ids: list[int]) -> list[Grade]:
        """Return the teacher's logprob and best tokens where it would have said each of `ids`."""
        inputs = mx.array([[self._last, *ids[:-1]]])
        logits = self._model(inputs, cache=self._cache)[0, :, : self.vocab_size]  # (T, V)
        logits = logits.astype(mx.float32)
        logprobs = logits - log_partition(logits)
        chosen = float_list(mx.take_along_axis(logprobs, mx.array(ids)[:, None], axis=-1)[:, 0])
        count = min(TOP, self.vocab_size)
        best = mx.argsort(-logprobs, axis=-1)[:, :count]  # (T, count)
        values = float_list(mx.take_along_axis(logprobs, best, axis=-1).reshape(-1))
        best_ids = int_list(best.reshape(-1))
        self._last = ids[-1]
        return [
            Grade(
                teacher_logprob=chosen[row],
                top=tuple(
                    top_of(self._teacher, best_ids[i], values[i])
                    for i in range(row * count, (row + 1) * count)
                ),
            )
            for row in range(len(ids))
        ]


def _seeing_cache(model: nn.Module) -> list[LayerCache]:
    return RowCache.empty(model, 1).attention


def grader_of(student: Policy, teacher: Policy, prompt: Sequence[int]) -> Grader | str:
    """A grader, or why the teacher cannot grade what the student writes."""
    shared = min(student.vocab_size, teacher.vocab_size)
    ours: dict[str, int] = student.tokenizer.get_vocab()
    theirs: dict[str, int] = teacher.tokenizer.get_vocab()
    same = {text: i for text, i in ours.items() if i < shared} == {
        text: i for text, i in theirs.items() if i < shared
    }
    words = [token for token in prompt if token < FIRST_PICTURE_ID]
    if not same or max(words) >= shared:
        return "The teacher cannot grade this: it has other tokens than the student."
    if len(words) < len(prompt) and not _see_alike(student.sight, teacher.sight):
        return "The teacher cannot grade this: it does not read pictures as the student does."
    return Grader(teacher, prompt, shared)


def _see_alike(mine: Sight | None, theirs: Sight | None) -> bool:
    """Whether a picture has the same places for both; limits are those of the question."""
    if mine is None or theirs is None:
        return False
    return (mine.patch, mine.merge) == (theirs.patch, theirs.merge)


def top_of(policy: Policy, token_id: int, logprob: float) -> TopToken:
    """A token with its text and logprob (nats)."""
    return TopToken(id=token_id, text=token_text(policy, token_id), logprob=logprob)
