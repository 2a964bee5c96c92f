"""Which models a question means: found on this machine, or refused in words before any load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.backend import Backend
from backend.door.folders import facts_of_folder
from backend.history.summary import named_models
from backend.models.place import Hub
from backend.paths import picked_folder, probe
from backend.playground.views import AskedMessage, Question, SetPicture
from backend.problems import ConflictError, WrongFieldError
from backend.prompt_sets.store import PromptSets
from OnPolicyDistill.config import settings_of
from OnPolicyDistill.evaluation.playground_messages import (
    USUAL_SIGHT,
    Ask,
    ChatMessage,
    LinePicture,
    Role,
)
from OnPolicyDistill.methods import teacher_to_ask
from OnPolicyDistill.planning.memory import RUNTIME_BYTES
from OnPolicyDistill.planning.sight import own_limits
from OnPolicyDistill.planning.sizes import memory_limit
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.checkpoints import list_checkpoints, pointed
from OnPolicyDistill.settings.sight import SightSettings, sight_of


@dataclass(frozen=True, slots=True)
class Cast:
    """Names of models, as a config would write them; `adapter` is the student's.

    `teacher_adapter` is what the teacher of a run wears.

    `sight` is how large their run reads pictures, if they are of one whose method does.
    """

    student: str
    adapter: str | None
    teacher: str | None
    sight: SightSettings | None = None
    teacher_adapter: str | None = None


def make_ask(backend: Backend, hub: Hub, sets: PromptSets, question: Question, ask_id: int) -> Ask:
    """Turn a question into what the process understands; pictures are not opened here.

    Raises:
        WrongFieldError: a model is not named or not here, or a role has none.
        NotFoundError: there is no such run, or no such prompt set.
        DatasetError: the file of a prompt set is gone.
        ConflictError: the models do not fit into memory together.
    """
    cast = _cast(backend, question)
    roles = _roles(question, cast)
    needs_teacher = "teacher" in roles or ("student" in roles and question.graded)
    student = _folder(hub, cast.student, "body.student_model")
    teacher = None
    if needs_teacher and cast.teacher is not None:
        teacher = _folder(hub, cast.teacher, "body.teacher_model")
    _refuse_too_large([folder for folder in (student, teacher) if folder is not None])
    return Ask(
        id=ask_id,
        roles=roles,
        student=str(student),
        adapter=cast.adapter,
        teacher=None if teacher is None else str(teacher),
        teacher_adapter=None if teacher is None else cast.teacher_adapter,
        graded=question.graded,
        messages=tuple(_found(sets, message) for message in question.messages),
        text=question.text,
        sampling=question.sampling,
        sight=_sight(cast, student),
    )


def _found(sets: PromptSets, message: AskedMessage) -> ChatMessage:
    """A message whose pictures of prompt sets are named by file and line."""
    pictures = tuple(
        _of_set(sets, picture) if isinstance(picture, SetPicture) else picture
        for picture in message.pictures
    )
    return ChatMessage(role=message.role, content=message.content, pictures=pictures)


def _of_set(sets: PromptSets, picture: SetPicture) -> LinePicture:
    return LinePicture(
        file=str(sets.file_of(picture.set_id)),
        holds=sets.get(picture.set_id).kind,
        line=picture.line,
        number=picture.number,
    )


def _cast(backend: Backend, question: Question) -> Cast:
    adapter = None if question.adapter is None else str(picked_folder(question.adapter))
    if question.run_id is None:
        if question.student_model is None:
            raise WrongFieldError("body.student_model", "Name a student, or a run.")
        return Cast(question.student_model, adapter, question.teacher_model)
    run = backend.existing(question.run_id)
    config = run.config()
    checkpoint = adapter or _checkpoint(backend, question)
    student, _ = named_models(config)
    settings = settings_of(config)
    worn = settings.model_dump().get("teacher_adapter")
    return Cast(
        question.student_model or student,
        checkpoint,
        question.teacher_model or teacher_to_ask(settings),
        sight_of(settings),
        None if question.teacher_model else worn,
    )


def _sight(cast: Cast, student: Path) -> SightSettings:
    """As large as the run reads pictures, else as the student's folder says."""
    own = cast.sight or own_limits(str(student))
    limits = {"min_pixels": own.min_pixels, "max_pixels": own.max_pixels}
    return USUAL_SIGHT.model_copy(update=limits)


def _checkpoint(backend: Backend, question: Question) -> str:
    run = backend.existing(str(question.run_id))
    wanted = question.checkpoint
    if isinstance(wanted, int):
        found = next((p for p in list_checkpoints(run) if int(p.name) == wanted), None)
    else:
        found = pointed(run, wanted) or pointed(run, "last")
    if found is None:
        raise WrongFieldError("body.checkpoint", f"Run {called(run)} has no such checkpoint.")
    return str(found)


def _roles(question: Question, cast: Cast) -> tuple[Role, ...]:
    possible: dict[Role, bool] = {
        "base": cast.adapter is not None,
        "student": True,
        "teacher": cast.teacher is not None,
    }
    if not question.roles:
        return tuple(role for role, is_possible in possible.items() if is_possible)
    for role in question.roles:
        if not possible[role]:
            missing = "adapter" if role == "base" else "teacher_model"
            raise WrongFieldError(f"body.{missing}", f"The role {role} needs one.")
    return tuple(dict.fromkeys(question.roles))


def _folder(hub: Hub, name: str, location: str) -> Path:
    probe(name)
    folder = local_folder(name, hub.cache_dir)
    if folder is None:
        raise WrongFieldError(location, f"{name[:200]} is not on this machine; download it first.")
    return folder.resolve()


def _refuse_too_large(folders: list[Path]) -> None:
    needed = sum(facts_of_folder(folder).loaded_bytes for folder in folders) + RUNTIME_BYTES
    limit = memory_limit()
    if needed > limit:
        raise ConflictError(
            f"The models need {needed / 1e9:.1f} GB and {limit / 1e9:.1f} GB may be used.",
            "Leave the teacher out, or choose quantized forms.",
            code="does_not_fit",
        )
