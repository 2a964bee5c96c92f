"""Teachers on demand: met by their tokens first, made by name, none of them loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from OnPolicyDistill.config import BLOCK_OF_METHOD
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.models.loading import find_folder, unload
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.disk import DiskCache
from OnPolicyDistill.teacher.ondemand import OnDemandTeacher, Turns
from OnPolicyDistill.teacher.remote import RemoteTeacher
from OnPolicyDistill.teacher.scorer import LocalModel, Scorer, TargetForm, shared_vocab_size
from OnPolicyDistill.teacher.stored import Identity, StoredTeacher
from OnPolicyDistill.teacher.student_copy import StudentCopyTeacher
from OnPolicyDistill.training.kept_scores import (
    files_of_teacher,
    identity_of_files,
    identity_of_served,
)
from OnPolicyDistill.training.pair import ANOTHER_PAIR, Load, dressed, form_of
from OnPolicyDistill.training.reaching import reach_teacher
from OnPolicyDistill.training.served import require_served
from OnPolicyDistill.training.work import Work

# What the teacher of a run with one is called here; rows name none then.
ONLY = ""


@dataclass(slots=True)
class Seat:
    """Where a teacher may come into memory: whether it still may, and who has to leave for it.

    `student` is who leaves; `has_left` says that it did. `is_closed` refuses any teacher.
    """

    student: Policy | None
    has_left: bool = False
    is_closed: bool = False

    def prepare(self, name: str) -> None:
        """Make room for a teacher, or say that none may come any more.

        Raises:
            RunError: the student is in memory, and both do not fit.
        """
        if self.is_closed:
            raise RunError(
                f"The teacher cache on disk lacks rows of {name} that it had when the run began.",
                "Raise teacher_cache_dir_mb or free the folder of damage, then resume the run.",
            )
        if self.student is not None and not self.has_left:
            unload(self.student)
            self.has_left = True


@dataclass(frozen=True, slots=True)
class Makings:
    """What the teachers of a run are made of."""

    work: Work
    settings: DistillationSettings
    load: Load
    student: Policy
    form: TargetForm
    cache: TeacherCache
    disk: DiskCache | None
    seat: Seat


def meet_teachers(
    work: Work, settings: DistillationSettings
) -> tuple[dict[str, RemoteTeacher], int]:
    """Reach the teachers that are served, and make sure that all speak the student's tokens.

    Returns those, and how many tokens all of them share.

    Raises:
        PairError: one speaks others.
    """
    student = LocalModel(settings.student_model, find_folder(settings.student_model))
    served: dict[str, RemoteTeacher] = {}
    sizes: list[int] = []
    work.reporter.phase("loading", "Comparing the tokenizers of the student and its teachers.")
    for name, model, endpoint in _places(settings):
        if endpoint is not None:
            alone = settings.model_copy(update={"teachers": (), "teacher_endpoint": endpoint})
            served[name], size = reach_teacher(work, alone, student)
        else:
            speaker = LocalModel(model, files_of_teacher(settings, model)[1])
            size = shared_vocab_size(student, speaker, ANOTHER_PAIR)
        sizes.append(size)
    for teacher in served.values():
        teacher.cut_to(min(sizes))
    return served, min(sizes)


def _places(settings: DistillationSettings) -> list[tuple[str, str, TeacherEndpoint | None]]:
    """Name, model and endpoint of every teacher; a copy of the student has the student's model."""
    if not settings.teachers:
        endpoint = settings.teacher_endpoint if settings.is_served else None
        return [(ONLY, settings.teacher_model, endpoint)]
    return [(t.name, t.model or settings.student_model, t.endpoint) for t in settings.teachers]


def makings_of(work: Work, settings: DistillationSettings, load: Load, policy: Policy) -> Makings:
    """What teachers are made of, once the student is there."""
    disk = None
    if settings.teacher_cache_dir is not None:
        folder = Path(settings.teacher_cache_dir).expanduser()
        room = settings.teacher_cache_dir_mb * 1_000_000
        disk = DiskCache(folder, room, work.reporter.warn)
    return Makings(
        work=work,
        settings=settings,
        load=load,
        student=policy,
        form=form_of(settings, policy.vocab_size),
        cache=TeacherCache(settings.teacher_cache_size_mb * 1_000_000),
        disk=disk,
        seat=Seat(None if settings.keep_teacher_loaded else policy),
    )


def make_teachers(makings: Makings, served: Mapping[str, RemoteTeacher]) -> dict[str, Scorer]:
    """Every teacher by name, none of them loaded; what they cannot serve is refused."""
    settings, turns = makings.settings, Turns()
    copies = {teacher.name: teacher.student_copy for teacher in settings.teachers}
    teachers: dict[str, Scorer] = {}
    for name, model, endpoint in _places(settings):
        copy = copies.get(name)
        if copy is not None:
            teachers[name] = StudentCopyTeacher(
                makings.student, makings.form, makings.cache, copy.refresh_every
            )
        elif endpoint is not None:
            identity = identity_of_served(endpoint, served[name], makings.student.vocab_size)
            teachers[name] = _on_disk(makings, served[name], identity)
        else:
            identity = identity_of_files(settings, model, makings.student.vocab_size)
            teachers[name] = _on_disk(makings, _on_demand(makings, identity, turns), identity)
        require_served(teachers[name], settings, BLOCK_OF_METHOD[makings.work.config.method])
    return teachers


def _on_disk(makings: Makings, teacher: Scorer, identity: Identity) -> Scorer:
    if makings.disk is None:
        return teacher
    precision = makings.settings.teacher_cache_precision
    return StoredTeacher(teacher, identity, makings.disk, makings.cache, precision)


def _on_demand(makings: Makings, identity: Identity, turns: Turns) -> OnDemandTeacher:
    """A teacher of this machine that says in the log when it is loaded, and why."""
    settings, model = makings.settings, identity.name

    def load() -> Policy:
        makings.seat.prepare(model)
        why = "its turn has come" if makings.disk is None else "what it is asked is not on disk"
        worn = settings.teacher_adapter
        wearing = "" if worn is None else f" with the adapter {worn}"
        makings.work.reporter.phase("loading", f"Loading the teacher {model}{wearing}: {why}.")
        policy = replace(makings.load(model), vocab_size=makings.student.vocab_size)
        return _same(dressed(policy, worn), identity)

    return OnDemandTeacher(load, makings.form, makings.cache, turns)


def _same(policy: Policy, identity: Identity) -> Policy:
    """The policy of those answers: what was noted elsewhere may have other files here.

    Raises:
        RunError: it is another one.
    """
    if policy.fingerprint == identity.key:
        return policy
    raise RunError(
        f"The files of {identity.name} are others than those whose answers the run began with.",
        "Bring the same files here, or start a new run: the answers of these are kept apart.",
    )
