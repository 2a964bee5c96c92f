"""Student, base and teacher side by side: models kept warm, tokens as they come, graded.

The student's tokens are graded by the teacher a few at a time, with the teacher's own cache behind
them, so that grades arrive while the student still writes.

Letters: T tokens, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.adapters.lora import adapter_disabled, detach_adapter
from OnPolicyDistill.arrays import as_float, float_list, int_list
from OnPolicyDistill.evaluation.playground_messages import (
    Ask,
    FinishedMessage,
    GeneratedToken,
    Grade,
    GradesMessage,
    LoadingMessage,
    NoteMessage,
    PlaygroundMessage,
    Role,
    StartedMessage,
    TokensMessage,
    TopToken,
)
from OnPolicyDistill.generation.loop import stream
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest, Token
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.kv_cache import LayerCache, RowCache
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.policy import Policy, encode_prompt
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.vocabulary import log_partition

TOP = 5
GRADED_AT_ONCE = 8
PREFILL_TOKENS = 512


class WarmModels:
    """The student, with or without its adapter, and the teacher, kept from one ask to the next."""

    def __init__(self) -> None:
        self._student: Policy | None = None
        self._adapter: str | None = None
        self._teacher: Policy | None = None

    def make_ready(self, ask: Ask) -> Iterator[LoadingMessage]:
        """Load what an ask needs and is not here, and let go what it does not need.

        Raises:
            ModelError: a model or the adapter cannot be used.
        """
        if self._student is not None and self._student.name != ask.student:
            unload(self._student)
            self._student, self._adapter = None, None
        if self._teacher is not None and self._teacher.name != ask.teacher:
            unload(self._teacher)
            self._teacher = None
        if self._student is None:
            yield LoadingMessage(role="student", model=ask.student)
            self._student = load_policy(ask.student)
        self._put_on(self._student, ask.adapter)
        if self._teacher is None and ask.teacher is not None:
            yield LoadingMessage(role="teacher", model=ask.teacher)
            self._teacher = load_policy(ask.teacher)

    @property
    def student(self) -> Policy:
        """The student that is ready."""
        assert self._student is not None
        return self._student

    @property
    def teacher(self) -> Policy | None:
        """The teacher that is ready, if one was asked for."""
        return self._teacher

    def _put_on(self, student: Policy, adapter: str | None) -> None:
        if adapter == self._adapter:
            return
        if self._adapter is not None:
            detach_adapter(student.model)
            self._adapter = None
        if adapter is not None:
            load_adapter(student, Path(adapter))
            self._adapter = adapter


def answer(
    models: WarmModels, ask: Ask, should_stop: Callable[[], bool]
) -> Iterator[PlaygroundMessage]:
    """Complete a conversation with every model that is asked for.

    Raises:
        StoppedError: `should_stop` said so.
        ModelError: a model cannot be used.
        DatasetError: a chat template refuses the conversation.
    """
    yield from models.make_ready(ask)
    for role in ask.roles:
        teacher = models.teacher
        if role == "teacher":
            assert teacher is not None
            yield from _complete(role, teacher, None, ask, should_stop)
        elif role == "base":
            with adapter_disabled(models.student.model) if ask.adapter else nullcontext():
                yield from _complete(role, models.student, None, ask, should_stop)
        else:
            yield from _complete(role, models.student, teacher, ask, should_stop)


def _complete(
    role: Role, policy: Policy, teacher: Policy | None, ask: Ask, should_stop: Callable[[], bool]
) -> Iterator[PlaygroundMessage]:
    messages = [{"role": m.role, "content": m.content} for m in ask.messages]
    prompt = encode_prompt(policy, messages)
    grader = None
    if teacher is not None:
        grader = _grader(policy, teacher, prompt)
        if grader is None:
            yield NoteMessage(
                text="The teacher cannot grade this: it has other tokens than the student."
            )
    yield StartedMessage(role=role, num_prompt_tokens=len(prompt))
    vocab_size = policy.vocab_size if grader is None else grader.vocab_size
    request = _request(policy, prompt, vocab_size, ask)
    writer = _Writer(policy, role)
    started = time.perf_counter()
    ungraded: list[int] = []
    for token in stream(policy.model, request, GenerationHooks(should_stop=should_stop)):
        yield writer.write(token)
        ungraded.append(token.id)
        is_due = token.finish_reason is not None or len(ungraded) >= GRADED_AT_ONCE
        if grader is not None and is_due:
            first = writer.num_tokens - len(ungraded)
            yield GradesMessage(first=first, grades=tuple(grader.grade(ungraded)))
            ungraded = []
    yield writer.finished(time.perf_counter() - started)


def _request(policy: Policy, prompt: list[int], vocab_size: int, ask: Ask) -> GenerationRequest:
    asked = ask.sampling
    return GenerationRequest(
        prompts=[prompt],
        seeds=[asked.seed],
        stop_ids=policy.stop_ids,
        vocab_size=vocab_size,
        max_tokens=asked.max_tokens,
        sampling=SamplingSettings(asked.temperature, asked.top_p, asked.top_k, asked.min_p),
        num_top_logprobs=min(TOP, vocab_size),
        full_logprobs=True,
    )


class _Writer:
    """Turns the tokens of one completion into text."""

    def __init__(self, policy: Policy, role: Role) -> None:
        self._policy = policy
        self._role = role
        self._text = policy.tokenizer.detokenizer
        self._text.reset()
        self._logprobs: list[float] = []
        self._reason: str | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens so far."""
        return len(self._logprobs)

    def write(self, token: Token) -> TokensMessage:
        """Return what a token adds."""
        assert token.full_logprobs is not None
        assert token.top_logprobs is not None
        logprob = as_float(token.full_logprobs[token.id])
        is_end = token.id in self._policy.stop_ids
        if is_end:
            text = text_of(self._policy, token.id)
        else:
            self._text.add_token(token.id)
            text = self._text.last_segment
        tops = zip(token.top_logprobs.ids, token.top_logprobs.logprobs, strict=True)
        made = GeneratedToken(
            id=token.id,
            text=text,
            logprob=logprob,
            is_end=is_end,
            top=tuple(_top(self._policy, token_id, value) for token_id, value in tops),
        )
        self._logprobs.append(logprob)
        self._reason = token.finish_reason
        return TokensMessage(role=self._role, first=self.num_tokens - 1, tokens=(made,))

    def finished(self, seconds: float) -> FinishedMessage:
        """Sum up."""
        self._text.finalize()
        return FinishedMessage(
            role=self._role,
            text=self._text.text,
            finish_reason="stop" if self._reason == "stop" else "length",
            num_tokens=self.num_tokens,
            seconds=seconds,
            mean_logprob=sum(self._logprobs) / max(self.num_tokens, 1),
        )


class Grader:
    """A teacher that follows a completion; `vocab_size` is what both models share."""

    def __init__(self, teacher: Policy, prompt: list[int], vocab_size: int) -> None:
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
            chunk = prompt[start : min(start + PREFILL_TOKENS, len(prompt) - 1)]
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
                    _top(self._teacher, best_ids[i], values[i])
                    for i in range(row * count, (row + 1) * count)
                ),
            )
            for row in range(len(ids))
        ]


def _seeing_cache(model: nn.Module) -> list[LayerCache]:
    return RowCache.empty(model, 1).layers


def _grader(student: Policy, teacher: Policy, prompt: list[int]) -> Grader | None:
    """A grader, or None where the teacher's tokens mean something else."""
    shared = min(student.vocab_size, teacher.vocab_size)
    ours: dict[str, int] = student.tokenizer.get_vocab()
    theirs: dict[str, int] = teacher.tokenizer.get_vocab()
    same = {text: i for text, i in ours.items() if i < shared} == {
        text: i for text, i in theirs.items() if i < shared
    }
    return Grader(teacher, prompt, shared) if same and max(prompt) < shared else None


def text_of(policy: Policy, token_id: int) -> str:
    """Text of one token, special ones written out."""
    text: str = policy.tokenizer.decode([token_id], skip_special_tokens=False)
    return text


def _top(policy: Policy, token_id: int, logprob: float) -> TopToken:
    return TopToken(id=token_id, text=text_of(policy, token_id), logprob=logprob)
