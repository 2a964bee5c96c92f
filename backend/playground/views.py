"""What the playground is asked over HTTP, and how it stands."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from backend.guard import LargeBody
from backend.history.views import View
from backend.paths import MAX_PATH_CHARACTERS
from OnPolicyDistill.evaluation.playground_messages import (
    Message,
    Role,
    Sampling,
    SentPicture,
)

# cold: no process; warm: models are loaded; busy: it works; blocked: a run has the GPU.
PlaygroundState = Literal["cold", "warm", "busy", "blocked"]

Text = Annotated[str, Field(min_length=1, max_length=MAX_PATH_CHARACTERS)]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$"


MAX_PICTURES = 8
# A picture of ten megabytes in base64, or several smaller ones, beside the words.
ASK_BODY = LargeBody(re.compile(r"/api/playground/ask|/v1/chat/completions"), 16_000_000)
MAX_TEXT = 200_000


class SetPicture(View):
    """A picture that a line of a prompt set names, both counted from 1."""

    kind: Literal["set"] = "set"
    set_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,119}$")
    line: int = Field(ge=1, le=10**9)
    number: int = Field(1, ge=1, le=32)


class AskedMessage(Message):
    """A message with its pictures, in the order of their places: sent along, or of a set."""

    pictures: tuple[Annotated[SentPicture | SetPicture, Field(discriminator="kind")], ...] = Field(
        (), max_length=MAX_PICTURES
    )

    @model_validator(mode="after")
    def _refuse_lost_places(self) -> Self:
        self.check_places(len(self.pictures))
        return self


class Question(View):
    """A conversation or a text to complete with models named directly, or with those of a run."""

    messages: tuple[AskedMessage, ...] = Field((), max_length=100)
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None = Field(
        None, description="To be continued as it stands, in place of messages: no chat template."
    )
    graded: bool = Field(True, description="The teacher grades the student's tokens.")
    sampling: Sampling = Sampling()
    roles: tuple[Role, ...] = Field(
        (), max_length=3, description="In this order; none means all that can be."
    )
    run_id: Annotated[str, Field(pattern=NAME_PATTERN)] | None = Field(
        None, description="Takes student, adapter and teacher from a run."
    )
    checkpoint: Literal["best", "last"] | Annotated[int, Field(ge=0, le=10**12)] = Field(
        "best", description="Which of the run's adapters; a number is a step."
    )
    student_model: Text | None = Field(None, description="Alias, hub id or folder.")
    adapter: Text | None = Field(None, description="Folder of the student's adapter.")
    teacher_model: Text | None = Field(None, description="Alias, hub id or folder.")

    @model_validator(mode="after")
    def _check_messages(self) -> Self:
        if bool(self.messages) == (self.text is not None):
            raise ValueError("a question has either messages or a text")
        if sum(len(message.pictures) for message in self.messages) > MAX_PICTURES:
            raise ValueError(f"a question may have {MAX_PICTURES} pictures in all")
        return self


class PlaygroundView(View):
    """How the playground stands."""

    state: PlaygroundState
    reason: str = Field("", description="Why it is blocked.")
    student: str | None = Field(None, description="Folder of the student that is loaded.")
    adapter: str | None = None
    teacher: str | None = None
    memory_gb: float | None = Field(None, description="What its process holds.")
    unload_in_seconds: float | None = Field(
        None, description="When its memory goes back if nobody asks."
    )
