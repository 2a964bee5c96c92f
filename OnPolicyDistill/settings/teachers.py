"""Settings of teachers whose answers are kept on disk, and of several teachers in one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from OnPolicyDistill.settings.endpoint import TeacherEndpoint, beyond_endpoint
from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.strict import Settings

if TYPE_CHECKING:
    from OnPolicyDistill.settings.distillation import DistillationSettings

Precision = Literal["exact", "bfloat16", "int8"]
TeacherOrder = Literal["by_teacher", "mixed"]
MOST_TEACHERS = 16


class StudentCopy(Settings):
    """The student as it was: a copy of its adapter that scores, and is made anew now and then."""

    refresh_every: int = Field(
        ge=1,
        le=1_000_000,
        title="Steps between refreshes",
        description="Steps after which the copy is made anew.",
    )


class NamedTeacher(Settings):
    """One of several teachers: a model here, one that is served, or the student's own copy."""

    name: str = Field(
        pattern=r"^\w[\w .+-]{0,39}$",
        title="Name",
        description="What lines of the prompt files call it.",
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        title="Model",
        description="Registry alias, hub id or folder.",
    )
    endpoint: TeacherEndpoint | None = Field(
        None, title="On a server", description="A teacher that lives elsewhere."
    )
    student_copy: StudentCopy | None = Field(
        None,
        title="Copy of the student",
        description="The student's own earlier self, which keeps it from drifting.",
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> NamedTeacher:
        refuse(self, self._contradictions())
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        given = [one for one in (self.model, self.endpoint, self.student_copy) if one is not None]
        if len(given) != 1:
            why = "a teacher is either a model, an endpoint or a student_copy"
            yield "model", f"{why}, and this one is {'none' if not given else 'several'} of them"
        if self.endpoint is not None and self.endpoint.url is None:
            yield "endpoint.url", "an endpoint needs the url where the teacher is served"

    @property
    def in_words(self) -> str:
        """Who it is."""
        if self.endpoint is not None:
            return f"{self.endpoint.model} at {self.endpoint.base}"
        return self.model or "the student's own copy"


def beyond_teachers(settings: DistillationSettings) -> Iterator[Contradiction]:
    """What the settings ask of their several teachers that they cannot serve together."""
    yield from dict.fromkeys(_beyond_endpoints(settings))
    names = [teacher.name for teacher in settings.teachers]
    for number, teacher in enumerate(settings.teachers):
        if teacher.name in names[:number]:
            yield f"teachers.{number}.name", "two teachers have the same name"
    if all(teacher.student_copy is not None for teacher in settings.teachers):
        why = "a copy of the student differs from it in nothing until another teacher moved it"
        yield "teachers", f"{why}, so there must be one that is no student_copy"
    for key, value in (
        ("teacher_endpoint.url", settings.teacher_endpoint.url),
        ("teacher_adapter", settings.teacher_adapter),
    ):
        if value is not None:
            yield key, f"the teachers are listed under teachers, so {key} must be empty"
    if not settings.keep_teacher_loaded:
        why = "teachers take turns in memory by themselves"
        yield "keep_teacher_loaded", f"{why}, so keep_teacher_loaded must be true"
    if settings.on_policy_fraction < 1 and any(t.student_copy for t in settings.teachers):
        why = "the student's copy writes no completions of its own"
        yield "on_policy_fraction", f"{why}, so on_policy_fraction must be 1"


def _beyond_endpoints(settings: DistillationSettings) -> Iterator[Contradiction]:
    """What no endpoint of a teacher can serve; what holds of all teachers is said by those."""
    unsaid = {"teachers": (), "teacher_adapter": None, "keep_teacher_loaded": True}
    for teacher in settings.teachers:
        if teacher.endpoint is not None:
            served = {**unsaid, "teacher_endpoint": teacher.endpoint}
            yield from beyond_endpoint(settings.model_copy(update=served))


def beyond_disk(settings: DistillationSettings) -> Iterator[Contradiction]:
    """What the settings ask of a teacher's answers on disk that those cannot give."""
    if settings.teacher_targets == "top_k" and settings.teacher_cache_precision != "exact":
        why = "top-k logprobs are kept as they are"
        yield "teacher_cache_precision", f"{why}, so teacher_cache_precision must be exact"
