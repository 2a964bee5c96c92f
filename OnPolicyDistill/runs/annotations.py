"""What the user says about a run: name, tags, note and marks; the trainer never reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.runs.directory import RunDirectory

ANNOTATIONS_FILE = "annotations.json"
MAX_NAME_CHARACTERS = 120

Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\s,]+$")]


class Annotations(BaseModel):
    """The user's own words about a run; every field has a value for a run nobody touched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME_CHARACTERS,
        description="Shown instead of the config's run_name.",
    )
    tags: tuple[Tag, ...] = Field((), max_length=50, description="Words without spaces or commas.")
    note: str = Field("", max_length=20_000, description="Free text.")
    favourite: bool = Field(False, description="Kept at hand.")
    archived: bool = Field(False, description="Left out of lists unless asked for.")

    @field_validator("tags")
    @classmethod
    def _once_each(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tags))


def read_annotations(run: RunDirectory) -> Annotations:
    """Return a run's annotations; those of a run nobody touched when there is no file.

    Raises:
        RunError: something is there and damaged, so writing over it would lose the user's words.
    """
    file = run.path / ANNOTATIONS_FILE
    try:
        return Annotations.model_validate_json(read_plain(file))
    except FileNotFoundError:
        return Annotations()
    except ValidationError as error:
        raise RunError(
            f"{file} is damaged.", "Correct it, or delete it to start again without annotations."
        ) from error


def is_archived(run: RunDirectory) -> bool:
    """Whether a person put a run away; not where nobody can tell."""
    try:
        return read_annotations(run).archived
    except (RunError, OSError):
        return False


def write_annotations(run: RunDirectory, annotations: Annotations) -> None:
    """Replace a run's annotations."""
    write_text_atomically(run.path / ANNOTATIONS_FILE, annotations.model_dump_json(indent=1))
