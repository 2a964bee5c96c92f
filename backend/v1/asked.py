"""What clients send in OpenAI's form, and as which question the playground's process gets it.

What would change an answer and is not done here is refused; what else clients send is not read.
Reference: https://platform.openai.com/docs/api-reference/chat/create and .../completions/create.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from backend.playground.views import AskedMessage, Question
from backend.problems import WrongFieldError
from backend.v1.names import Named
from OnPolicyDistill.evaluation.playground_messages import (
    MAX_PICTURE_CHARACTERS,
    PICTURE_PATTERN,
    Sampling,
    SentPicture,
)

MAX_STOPS = 4  # as there
MAX_SEED = 2**31
DEFAULT_TOKENS = 2048
# A prompt as long as the longest message.
MAX_CHARACTERS = 200_000


def _refused(value: JsonValue) -> JsonValue:
    if value in (None, False, 0, "", [], {}):
        return value
    raise ValueError("local models do not do this here; leave it out")


Undone = Annotated[JsonValue, AfterValidator(_refused)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]


class Sent(BaseModel):
    """A part of a request."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class StreamOptions(Sent):
    """How a stream ends."""

    include_usage: bool = Field(False, description="A last piece with the counts of tokens.")


class PlainText(Sent):
    """The one form of answers."""

    type: Literal["text"]


class Wanted(Sent):
    """What both routes take."""

    model: str = Field(
        min_length=1,
        max_length=4_000,
        description="A run by name or id, `latest`, RUN@STEP, or a local model: alias, hub id or "
        "folder.",
    )
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2, description="1 where it is left out.")
    top_p: float | None = Field(None, gt=0, le=1, description="1 where it is left out.")
    seed: int | None = Field(
        None, ge=-(2**63), lt=2**63, description="The same seed gives the same answer."
    )
    max_tokens: int | None = Field(None, ge=1, le=16_384, description="2,048 where it is left out.")
    stop: Stop | Annotated[tuple[Stop, ...], Field(max_length=MAX_STOPS)] | None = Field(
        None, description="The answer ends in front of the first of these."
    )
    n: Literal[1] | None = Field(None, description="One answer a request.")
    logprobs: Undone = None
    logit_bias: Undone = None
    frequency_penalty: Undone = None
    presence_penalty: Undone = None

    @property
    def num_tokens(self) -> int:
        """How many tokens an answer may have."""
        return self.max_tokens or DEFAULT_TOKENS

    @property
    def stops(self) -> tuple[str, ...]:
        """What ends the answer."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    @property
    def tells_usage(self) -> bool:
        """Whether a stream ends with the counts."""
        return self.stream_options is not None and self.stream_options.include_usage


class TextPart(Sent):
    """Words of a message."""

    type: Literal["text"]
    text: str = Field(max_length=MAX_CHARACTERS)


class PictureAddress(Sent):
    """A picture that is sent along; none is fetched from elsewhere."""

    url: str = Field(pattern=PICTURE_PATTERN, max_length=MAX_PICTURE_CHARACTERS)


class PicturePart(Sent):
    """A picture of a message."""

    type: Literal["image_url"]
    image_url: PictureAddress


Part = Annotated[TextPart | PicturePart, Field(discriminator="type")]


class Turn(Sent):
    """A message of the conversation so far."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[tuple[Part, ...], Field(max_length=100)] | None = None
    tool_calls: Undone = None


class ChatRequest(Wanted):
    """A conversation to answer."""

    messages: tuple[Turn, ...] = Field(min_length=1, max_length=100)
    max_completion_tokens: int | None = Field(
        None, ge=1, le=16_384, description="The newer name of `max_tokens`."
    )
    tools: Undone = None
    functions: Undone = None
    top_logprobs: Undone = None
    response_format: PlainText | None = None

    @property
    def num_tokens(self) -> int:
        """How many tokens an answer may have."""
        return self.max_completion_tokens or self.max_tokens or DEFAULT_TOKENS


class CompletionRequest(Wanted):
    """A text to continue as it stands, without a chat template."""

    prompt: (
        Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
        | tuple[Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]]
    ) = Field(description="One text.")
    echo: Undone = None
    suffix: Undone = None
    best_of: Literal[1] | None = None

    @property
    def text(self) -> str:
        """The text."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]


def question_of(asked: ChatRequest | CompletionRequest, named: Named) -> Question:
    """Make the question that the playground understands; the teacher has no part in it.

    Raises:
        WrongFieldError: messages that no chat has.
    """
    try:
        return Question(
            messages=tuple(map(_message, asked.messages)) if isinstance(asked, ChatRequest) else (),
            text=asked.text if isinstance(asked, CompletionRequest) else None,
            sampling=_sampling(asked),
            roles=("student",),
            graded=False,
            run_id=named.run_id,
            checkpoint=named.checkpoint,
            student_model=named.model,
        )
    except ValidationError as error:
        message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise WrongFieldError("body.messages", message) from error


def _sampling(asked: Wanted) -> Sampling:
    seed = secrets.randbelow(MAX_SEED) if asked.seed is None else asked.seed % MAX_SEED
    return Sampling(
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        max_tokens=asked.num_tokens,
        seed=seed,
    )


def _message(turn: Turn) -> AskedMessage:
    content = turn.content or ""
    parts = () if isinstance(content, str) else content
    words = (part.text for part in parts if isinstance(part, TextPart))
    return AskedMessage(
        role="system" if turn.role == "developer" else turn.role,
        content=content if isinstance(content, str) else "".join(words),
        pictures=tuple(
            SentPicture(data=part.image_url.url) for part in parts if isinstance(part, PicturePart)
        ),
    )
