"""What the playground is asked over HTTP, and how it stands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.history.views import View
from backend.paths import MAX_PATH_CHARACTERS
from OnPolicyDistill.evaluation.playground_messages import ChatMessage, Role, Sampling

# cold: no process; warm: models are loaded; busy: it works; blocked: a run has the GPU.
PlaygroundState = Literal["cold", "warm", "busy", "blocked"]

Text = Annotated[str, Field(min_length=1, max_length=MAX_PATH_CHARACTERS)]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$"


class Question(View):
    """A conversation to complete with models named directly, or with those of a run."""

    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=100)
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
