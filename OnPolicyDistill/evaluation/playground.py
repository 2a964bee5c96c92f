"""Student, base and teacher side by side: models kept warm, tokens as they come, graded.

The student's tokens are graded by the teacher a few at a time, with the teacher's own cache behind
them, so that grades arrive while the student still writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.adapters.files import adapter_mark, load_adapter
from OnPolicyDistill.adapters.lora import adapter_disabled, detach_adapter
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.evaluation.playground_grading import grader_of, top_of
from OnPolicyDistill.evaluation.playground_messages import (
    Ask,
    FinishedMessage,
    GeneratedToken,
    GradesMessage,
    LoadingMessage,
    NoteMessage,
    PlaygroundMessage,
    Role,
    Sampling,
    StartedMessage,
    TokensMessage,
)
from OnPolicyDistill.evaluation.playground_pictures import (
    read_question,
    show_to,
    shown_pictures,
)
from OnPolicyDistill.generation.loop import stream
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest, Token
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.picture_prompts import encode_seen, refuse_blind
from OnPolicyDistill.models.policy import Message, Policy, encode_text, opening_text
from OnPolicyDistill.models.token_text import token_text
from OnPolicyDistill.pictures import PictureBook

GRADED_AT_ONCE = 8


class WarmModels:
    """The student, with or without its adapter, and the teacher, kept from one ask to the next."""

    def __init__(self) -> None:
        self._student: Policy | None = None
        self._adapter: str | None = None
        self._teacher: Policy | None = None
        self._teacher_adapter: str | None = None

    def make_ready(self, ask: Ask) -> Iterator[LoadingMessage]:
        """Load what an ask needs and is not here, and let go what it does not need.

        Raises:
            ModelError: a model or the adapter cannot be used.
        """
        if self._student is not None and self._student.name != ask.student:
            unload(self._student)
            self._student, self._adapter = None, None
        if self._teacher is not None and not self._is_teacher_of(ask, self._teacher):
            unload(self._teacher)
            self._teacher = None
        if self._student is None:
            yield LoadingMessage(role="student", model=ask.student)
            self._student = load_policy(ask.student, sight=ask.sight)
        self._put_on(self._student, ask.adapter)
        if self._teacher is None and ask.teacher is not None:
            yield LoadingMessage(role="teacher", model=ask.teacher)
            teacher = load_policy(ask.teacher, sight=ask.sight)
            if ask.teacher_adapter is not None:
                teacher, _ = load_adapter(teacher, Path(ask.teacher_adapter))
            self._teacher, self._teacher_adapter = teacher, ask.teacher_adapter

    @property
    def student(self) -> Policy:
        """The student that is ready."""
        assert self._student is not None
        return self._student

    @property
    def teacher(self) -> Policy | None:
        """The teacher that is ready, if one was asked for."""
        return self._teacher

    def _is_teacher_of(self, ask: Ask, teacher: Policy) -> bool:
        return (teacher.name, self._teacher_adapter) == (ask.teacher, ask.teacher_adapter)

    def _put_on(self, student: Policy, adapter: str | None) -> None:
        # A run that goes on from an earlier checkpoint writes later ones anew under their names.
        mark = None if adapter is None else adapter_mark(Path(adapter))
        if mark == self._adapter:
            return
        if self._adapter is not None:
            detach_adapter(student.model)
            self._adapter = None
        if adapter is not None:
            load_adapter(student, Path(adapter))
            self._adapter = mark


def answer(
    models: WarmModels, ask: Ask, should_stop: Callable[[], bool]
) -> Iterator[PlaygroundMessage]:
    """Complete a conversation with every model that is asked for.

    Raises:
        StoppedError: `should_stop` said so.
        ModelError: a model cannot be used.
        DatasetError: a chat template refuses the conversation, or a picture cannot be read.
    """
    question = _question(ask)
    yield from models.make_ready(ask)
    student = show_to(models.student, question.book, ask.sight)
    teacher = models.teacher and show_to(models.teacher, question.book, ask.sight)
    for role in ask.roles:
        if role == "teacher":
            assert teacher is not None
            yield from _complete(role, teacher, None, question, should_stop)
        elif role == "base":
            with adapter_disabled(student.model) if ask.adapter else nullcontext():
                yield from _complete(role, student, None, question, should_stop)
        else:
            grader = teacher if ask.graded else None
            yield from _complete(role, student, grader, question, should_stop)


@dataclass(frozen=True, slots=True)
class _Question:
    """What every model is asked; the book has the pictures of this question alone."""

    messages: tuple[Message, ...]
    pictures: tuple[PictureSource, ...]
    book: PictureBook
    text: str | None
    num_top: int
    sampling: Sampling

    def encoded(self, policy: Policy) -> Sequence[int]:
        """What a policy reads of it.

        Raises:
            DatasetError: the chat template refuses the conversation, or a token is unknown.
        """
        if self.text is None:
            return encode_seen(policy, self.messages, self.pictures)
        return encode_text(policy, f"{opening_text(policy)}{self.text}")


def _question(ask: Ask) -> _Question:
    """Read a question, and refuse pictures that one who shall answer would not see."""
    messages, pictures = read_question(ask.messages)
    answering = (ask.teacher if role == "teacher" else ask.student for role in ask.roles)
    refuse_blind((name for name in answering if name is not None), pictures)
    return _Question(messages, pictures, PictureBook(), ask.text, ask.num_top, ask.sampling)


def _complete(
    role: Role,
    policy: Policy,
    teacher: Policy | None,
    question: _Question,
    should_stop: Callable[[], bool],
) -> Iterator[PlaygroundMessage]:
    prompt = question.encoded(policy)
    grader = None if teacher is None else grader_of(policy, teacher, prompt)
    if isinstance(grader, str):
        yield NoteMessage(text=grader)
        grader = None
    shown = shown_pictures(prompt, question.book)
    yield StartedMessage(role=role, num_prompt_tokens=len(prompt), pictures=shown)
    vocab_size = policy.vocab_size if grader is None else grader.vocab_size
    request = _request(policy, prompt, vocab_size, question)
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


def _request(
    policy: Policy, prompt: Sequence[int], vocab_size: int, question: _Question
) -> GenerationRequest:
    asked = question.sampling
    return GenerationRequest(
        prompts=[prompt],
        seeds=[asked.seed],
        stop_ids=policy.stop_ids,
        vocab_size=vocab_size,
        max_tokens=asked.max_tokens,
        sampling=SamplingSettings(asked.temperature, asked.top_p, asked.top_k, asked.min_p),
        num_top_logprobs=min(question.num_top, vocab_size),
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
        logprob = as_float(token.full_logprobs[token.id])
        is_end = token.id in self._policy.stop_ids
        if not is_end:
            self._text.add_token(token.id)
        best = token.top_logprobs
        tops = () if best is None else zip(best.ids, best.logprobs, strict=True)
        made = GeneratedToken(
            id=token.id,
            text=token_text(self._policy, token.id),
            adds="" if is_end else self._text.last_segment,
            logprob=logprob,
            is_end=is_end,
            top=tuple(top_of(self._policy, token_id, value) for token_id, value in tops),
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
