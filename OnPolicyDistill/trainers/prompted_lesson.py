"""The lesson of prompt distillation: only the teacher sees the prompt."""

from __future__ import annotations

from dataclasses import replace

from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.datasets.answers import Split
from OnPolicyDistill.errors import PairError
from OnPolicyDistill.evaluation.heldout import EncodedPrompt, HeldOut
from OnPolicyDistill.generation.request import GenerationHooks
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, vocabulary_head
from OnPolicyDistill.planning.pair import check_pair
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.prompted import PromptedTeacher
from OnPolicyDistill.teacher.scoring import EXACT
from OnPolicyDistill.trainers.answers import AnsweringStage
from OnPolicyDistill.trainers.course import create_updater
from OnPolicyDistill.trainers.lesson import Lesson, objective_of
from OnPolicyDistill.trainers.materials import COMPLETIONS_FILE, Materials
from OnPolicyDistill.trainers.questions import SPLITS, render
from OnPolicyDistill.trainers.rollouts import CompletionStore


def prepare_prompted_lesson(
    stage: AnsweringStage, student: Policy, adapter: AttachedAdapter
) -> Lesson:
    """Pair each input's prompt-less view with its teacher's view, and load what scores.

    Raises:
        PairError: student and teacher do not speak the same tokens.
    """
    settings = stage.questions.settings
    teacher_policy = student
    if not settings.is_self_distillation:
        stage.reporter.phase("loading", f"Loading the teacher {settings.teacher_model}.")
        teacher_policy = load_policy(settings.teacher_model, settings.mixed_precision)
    vocab_size = _shared_vocab_size(student, teacher_policy)
    student = replace(student, vocab_size=vocab_size)
    teacher_policy = replace(teacher_policy, vocab_size=vocab_size)
    prompts = {split: _encoded(stage, student, split) for split in SPLITS}
    lesson_settings = settings.as_distillation().settled(len(prompts["train"]))
    size = settings.rows_per_step
    held_out = HeldOut(prompts["held_out"], settings.max_answer_tokens, size, settings.seed)
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    views = _views(stage, teacher_policy, prompts)
    return Lesson(
        run=stage.run,
        settings=lesson_settings,
        reporter=stage.reporter,
        stop=stage.stop,
        student=student,
        head=vocabulary_head(student),
        adapter=adapter,
        teacher=PromptedTeacher(teacher_policy, cache, EXACT, views),
        teacher_marks=(),
        materials=Materials(
            lesson_settings,
            prompts["train"],
            held_out,
            CompletionStore(stage.run.path / COMPLETIONS_FILE),
            stage.reporter,
            GenerationHooks(should_stop=stage.stop),
        ),
        objective=objective_of(lesson_settings),
        updater=create_updater(student, lesson_settings),
    )


def _encoded(stage: AnsweringStage, student: Policy, split: Split) -> tuple[EncodedPrompt, ...]:
    items = stage.questions.items[split]
    return tuple(
        EncodedPrompt(index, render(student, item.text, None)[0], item.text)
        for index, item in enumerate(items)
    )


def _views(
    stage: AnsweringStage, teacher: Policy, prompts: dict[Split, tuple[EncodedPrompt, ...]]
) -> dict[tuple[int, ...], tuple[int, ...]]:
    shown = stage.questions.prompt
    return {
        prompt.ids: render(teacher, prompt.text, shown)[0]
        for split in SPLITS
        for prompt in prompts[split]
    }


def _shared_vocab_size(student: Policy, teacher: Policy) -> int:
    if student.model is teacher.model:
        return student.vocab_size
    report = check_pair(student.path, teacher.path)
    if report.verdict == "mismatch" or report.shared_vocab_size is None:
        raise PairError(
            f"{student.name} cannot be scored by {teacher.name}: {report.summary}",
            "Choose two models with the same tokenizer, or set training to sft.",
        )
    return report.shared_vocab_size
