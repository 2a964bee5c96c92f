"""Everything of a distillation run that stays the same from its first step to its last.

With `keep_teacher_loaded` both models are in memory. Without it they never are at the same time:
the student samples and leaves, the teacher scores into the cache and leaves, the student learns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.adapters.files import (
    fill_adapter,
    load_adapter,
    read_adapter_weights,
    save_adapter,
)
from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import PairError
from OnPolicyDistill.evaluation.heldout import grade
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.models.loading import find_folder, load_policy, unload
from OnPolicyDistill.models.policy import Policy, vocabulary_head
from OnPolicyDistill.optim.adamw import create_adamw, load_optimizer, save_optimizer
from OnPolicyDistill.optim.updating import Updater
from OnPolicyDistill.planning.pair import check_pair
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Reporter, StopRequest
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scoring import TargetForm, Teacher
from OnPolicyDistill.trainers.alarms import Alarm, Metrics
from OnPolicyDistill.trainers.fresh_adapter import attach_fresh_adapter
from OnPolicyDistill.trainers.materials import Materials, gather_materials
from OnPolicyDistill.trainers.rollouts import uses_fixed_rollouts


@dataclass(frozen=True, slots=True)
class Lesson:
    """Student, teacher, prompts, loss and optimizer of one run; only their arrays change.

    `teacher_marks` say which held-out prompts the teacher answers rightly. `alarms` are the
    warnings that were given already, `recent` the metrics they come from.
    """

    run: RunDirectory
    settings: DistillationSettings
    reporter: Reporter
    stop: StopRequest
    student: Policy
    head: VocabularyHead
    adapter: AttachedAdapter
    teacher: Teacher
    teacher_marks: tuple[float | None, ...]
    materials: Materials
    objective: Objective
    updater: Updater
    alarms: set[str] = field(default_factory=set)
    recent: list[Metrics] = field(default_factory=list)

    def raise_alarms(self, alarms: Iterable[Alarm]) -> None:
        """Warn of what this session has not warned of yet."""
        for alarm in alarms:
            if alarm.code not in self.alarms:
                self.alarms.add(alarm.code)
                self.reporter.warn(alarm.code, alarm.message, alarm.action)

    def save_arrays(self, folder: Path) -> None:
        """Write adapter and optimizer into a checkpoint's folder."""
        save_adapter(folder, self.student.model, self.adapter, self.settings.student_model)
        save_optimizer(folder, self.updater.optimizer)

    def load_arrays(self, checkpoint: Path) -> None:
        """Put adapter and optimizer back as a checkpoint has them."""
        fill_adapter(self.student.model, read_adapter_weights(checkpoint), checkpoint)
        load_optimizer(checkpoint, self.updater.optimizer)


def prepare_lesson(run: RunDirectory, reporter: Reporter, stop: StopRequest) -> Lesson:
    """Load models and prompts, put the adapter on, and make what has to exist before step 1.

    Raises:
        DistillError: a file, a model or the pair cannot be used.
    """
    config = run.config()
    assert isinstance(config, OnPolicyConfig)
    settings = config.distillation
    vocab_size = _shared_vocab_size(settings, reporter)
    student, adapter = _load_student(settings, vocab_size, reporter)
    materials = gather_materials(run, settings, student, reporter, stop)
    settings = materials.settings
    if uses_fixed_rollouts(settings):
        materials.make_completions("student", student)
    if not settings.keep_teacher_loaded:
        unload(student)
    teacher = _load_teacher(settings, vocab_size, reporter)
    teacher.share_prefix(
        [prompt.ids for prompt in (*materials.prompts, *materials.held_out.prompts)]
    )
    teacher_marks = grade(teacher.policy, materials.held_out, materials.hooks)
    if uses_fixed_rollouts(settings):
        materials.make_completions("teacher", teacher.policy)
    if not settings.keep_teacher_loaded:
        materials = replace(materials, held_out=materials.keep_scores(teacher))
        teacher.unload()
        student, adapter = _load_student(settings, vocab_size, reporter)
    if settings.grad_checkpoint:
        checkpoint_layers(student.model)
    return Lesson(
        run=run,
        settings=settings,
        reporter=reporter,
        stop=stop,
        student=student,
        head=vocabulary_head(student),
        adapter=adapter,
        teacher=teacher,
        teacher_marks=teacher_marks,
        materials=materials,
        objective=objective_of(settings),
        updater=Updater(create_adamw(settings, student.model), student.model, settings),
    )


def _shared_vocab_size(settings: DistillationSettings, reporter: Reporter) -> int:
    """Make sure from files alone that both speak the same tokens; returns how many they share.

    Raises:
        PairError: they do not.
    """
    reporter.phase("loading", "Comparing the tokenizers of student and teacher.")
    student, teacher = find_folder(settings.student_model), find_folder(settings.teacher_model)
    report = check_pair(student, teacher)
    if report.verdict == "mismatch" or report.shared_vocab_size is None:
        raise PairError(
            f"{settings.student_model} cannot learn from {settings.teacher_model}: "
            f"{report.summary}",
            "Choose two models with the same tokenizer, such as two sizes of one family.",
        )
    return report.shared_vocab_size


def _load_student(
    settings: DistillationSettings, vocab_size: int, reporter: Reporter
) -> tuple[Policy, AttachedAdapter]:
    """Load the student and put on the adapter that learns: a fresh one, or one to continue."""
    reporter.phase("loading", f"Loading the student {settings.student_model}.")
    student = load_policy(settings.student_model, settings.mixed_precision)
    student = replace(student, vocab_size=vocab_size)
    if settings.student_adapter is not None:
        return load_adapter(student, Path(settings.student_adapter))
    return student, attach_fresh_adapter(student, settings.lora, settings.seed, reporter)


def _load_teacher(settings: DistillationSettings, vocab_size: int, reporter: Reporter) -> Teacher:
    reporter.phase("loading", f"Loading the teacher {settings.teacher_model}.")
    policy = load_policy(settings.teacher_model, settings.mixed_precision)
    top_k = min(settings.top_k, vocab_size)
    form = TargetForm(settings.teacher_targets, top_k, settings.temperature)
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    return Teacher(replace(policy, vocab_size=vocab_size), cache, form)


def objective_of(settings: DistillationSettings) -> Objective:
    """What a step minimizes, as the losses read it."""
    return Objective(
        settings.divergence,
        settings.temperature,
        settings.kl_weight,
        settings.ce_weight,
        settings.teacher_weight,
    )
