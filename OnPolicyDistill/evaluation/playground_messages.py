"""What the playground's process is asked and what it says, one JSON object a line; no MLX here.

Logprobs are nats at temperature 1, those of a graded completion over the shared vocabulary.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.picture_prompts import MARKER, MAX_PICTURES, lost_picture
from OnPolicyDistill.settings.sight import SightSettings

# Conversations have few pictures; what was seen of them is kept for the next question.
USUAL_SIGHT = SightSettings(picture_cache_mb=512)
# Ten megabytes of a picture's file, in base64.
MAX_PICTURE_CHARACTERS = 14_000_000
PICTURE_PATTERN = r"^data:image/[a-z0-9.+-]{1,40};base64,"

Role = Literal["base", "student", "teacher"]


class Line(BaseModel):
    """Frozen, strict, and all fields present in what is sent."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


class SentPicture(Line):
    """A picture that comes with the question; it is decoded where models answer, not before."""

    kind: Literal["data"] = "data"
    data: str = Field(
        pattern=PICTURE_PATTERN,
        max_length=MAX_PICTURE_CHARACTERS,
        description="data:image/png;base64,... of a PNG, JPEG, WebP, BMP or GIF.",
    )


class LinePicture(Line):
    """A picture that a line of a file names, both counted from 1."""

    kind: Literal["line"] = "line"
    file: str
    holds: SetKind
    line: int = Field(ge=1)
    number: int = Field(ge=1, le=MAX_PICTURES)


class Message(Line):
    """One message of the conversation so far, as words; pictures are added by who reads them."""

    role: str = Field(min_length=1, max_length=40)
    content: str = Field(
        max_length=200_000,
        description=f"Pictures stand before the words, or where they say {MARKER}.",
    )

    def check_places(self, num_pictures: int) -> None:
        """Refuse a message whose words have other places for pictures than it has pictures.

        Raises:
            ValueError: with the reason.
        """
        if self.role == "assistant" and not num_pictures:
            return
        if num_pictures and self.role != "user":
            raise ValueError("only the user's messages have pictures")
        num_marks = self.content.count(MARKER)
        if not num_pictures and lost_picture(self.content):
            raise ValueError(f"the words have a place for a picture, {MARKER}, and none is given")
        if num_pictures and num_marks not in (0, num_pictures):
            raise ValueError(f"{num_marks} places ({MARKER}) for {num_pictures} pictures")


class ChatMessage(Message):
    """A message with its pictures, in the order of their places."""

    pictures: tuple[Annotated[SentPicture | LinePicture, Field(discriminator="kind")], ...] = Field(
        (), max_length=MAX_PICTURES
    )

    @model_validator(mode="after")
    def _refuse_lost_places(self) -> Self:
        self.check_places(len(self.pictures))
        return self


class Sampling(Line):
    """How tokens are drawn; the same for every model."""

    temperature: float = Field(0.0, ge=0, le=4, description="0 takes the best token.")
    top_p: float = Field(1.0, gt=0, le=1, description="1 leaves nothing out.")
    top_k: int = Field(0, ge=0, le=1_000_000, description="0 leaves nothing out.")
    min_p: float = Field(0.0, ge=0, le=1, description="0 leaves nothing out.")
    max_tokens: int = Field(512, ge=1, le=16_384)
    seed: int = Field(0, ge=0, le=2**31 - 1)


class Ask(Line):
    """Complete a conversation with some of the models, one after the other."""

    kind: Literal["ask"] = "ask"
    id: int
    roles: tuple[Role, ...]
    student: str = Field(description="Folder.")
    adapter: str | None = None
    teacher: str | None = None
    teacher_adapter: str | None = None
    graded: bool = Field(True, description="The teacher, where there is one, grades the student.")
    messages: tuple[ChatMessage, ...] = ()
    text: str | None = Field(
        None, description="To be continued as it stands, in place of messages: no chat template."
    )
    num_top: int = Field(5, ge=0, le=5, description="How many of the best tokens are told.")
    sampling: Sampling = Sampling()
    sight: SightSettings = Field(
        USUAL_SIGHT,
        description="How large pictures are read: as the run reads them that the models are of.",
    )


class Stop(Line):
    """Stop working on a question; about another one it means nothing."""

    kind: Literal["stop"] = "stop"
    id: int


Request = Annotated[Ask | Stop, Field(discriminator="kind")]


class TopToken(Line):
    """One of the most probable tokens of a position."""

    id: int
    text: str
    logprob: float


class GeneratedToken(Line):
    """A token that was drawn, with those that the model itself found most probable."""

    id: int
    text: str = Field(description="Its own text, as in rollouts; parts of characters as bytes.")
    adds: str = Field(
        description="What the completion's text grows by; empty while a character is not whole."
    )
    logprob: float
    is_end: bool = Field(description="It ends the completion and is not part of its text.")
    top: tuple[TopToken, ...]


class Grade(Line):
    """What the teacher says about one token of the student."""

    teacher_logprob: float
    top: tuple[TopToken, ...]


class LoadingMessage(Line):
    """A model is being loaded."""

    kind: Literal["loading"] = "loading"
    role: Role
    model: str


class ShownPicture(Line):
    """A picture as a model reads it, and the tokens of the prompt that are its places."""

    first: int = Field(description="Number of its first token in the prompt, from 0.")
    num_tokens: int
    width: int = Field(description="In pixels, as the model reads it.")
    height: int


class StartedMessage(Line):
    """A model begins."""

    kind: Literal["started"] = "started"
    role: Role
    num_prompt_tokens: int
    pictures: tuple[ShownPicture, ...] = Field(description="In the order of their places.")


class TokensMessage(Line):
    """The next tokens of a model."""

    kind: Literal["tokens"] = "tokens"
    role: Role
    first: int = Field(description="Number of the first of them, from 0.")
    tokens: tuple[GeneratedToken, ...]


class GradesMessage(Line):
    """The teacher's word on the student's next tokens."""

    kind: Literal["grades"] = "grades"
    first: int = Field(description="Number of the first graded token, from 0.")
    grades: tuple[Grade, ...]


class FinishedMessage(Line):
    """A model is done."""

    kind: Literal["finished"] = "finished"
    role: Role
    text: str
    finish_reason: Literal["stop", "length"]
    num_tokens: int
    seconds: float
    mean_logprob: float


class NoteMessage(Line):
    """Something to know; the work goes on."""

    kind: Literal["note"] = "note"
    text: str


class DoneMessage(Line):
    """All models are done."""

    kind: Literal["done"] = "done"
    active_memory_gb: float
    peak_memory_gb: float


class StoppedMessage(Line):
    """The work ended early, for a reason that is no failure."""

    kind: Literal["stopped"] = "stopped"
    reason: str


class FailedMessage(Line):
    """The work failed."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    action: str = ""


PlaygroundMessage = Annotated[
    LoadingMessage
    | StartedMessage
    | TokensMessage
    | GradesMessage
    | FinishedMessage
    | NoteMessage
    | DoneMessage
    | StoppedMessage
    | FailedMessage,
    Field(discriminator="kind"),
]
LAST_KINDS = ("done", "stopped", "failed")


class Reply(Line):
    """A line of the process: which question it belongs to, and what it says."""

    id: int
    message: PlaygroundMessage


REQUEST: TypeAdapter[Ask | Stop] = TypeAdapter(Request)
