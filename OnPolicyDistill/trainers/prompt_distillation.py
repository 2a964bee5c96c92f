"""Prompt distillation: a student learns to act as if it had seen its teacher's long prompt.

1. generate: the teacher reads prompt and input and answers; answers whose label can be read, and on
   which enough samples agree, become conversations without the prompt;
2. train: with `sft` the student learns those conversations, with the loss
   -1 / N * sum log student(token of the target | input and everything before); with `on_policy`
   it answers itself, nothing is generated before, and the teacher scores the same completion ids
   behind prompt and input (the loss of trainers/on_policy.py);
3. evaluate: teacher and student with the prompt, student without it before and after.

Each stage leaves its files in the run and is not done again. How this differs from the sources:

- Snell et al. (2022), "Learning by distilling context", let one model be teacher and student and
  learn the scratchpad's answer; here the teacher may be another model, the label decides which
  answers count, and the thinking can be learned too (`target`).
- The tinker cookbook's recipe takes one sample an input; here several can vote, an unreadable one
  is tried again, and what is left out is kept with its reason.

Self-distillation (teacher and student of the same name) loads one model: it answers with the
prompt before the adapter is put on, and scores with the adapter off.
"""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.adapters.files import fill_adapter, load_adapter, read_adapter_weights
from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.config import PromptDistillationConfig
from OnPolicyDistill.datasets.answers import CONVERSATION_FILES
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.runs.checkpoints import pointed
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, Reporter, StopRequest, reported
from OnPolicyDistill.stopping import stoppable
from OnPolicyDistill.trainers import distilling, supervised
from OnPolicyDistill.trainers.answers import (
    AnsweringStage,
    generate_answers,
    prepare_answers,
)
from OnPolicyDistill.trainers.conversation_rows import ConversationRow
from OnPolicyDistill.trainers.course import (
    Course,
    choose_what_learns,
    create_updater,
    encode_file,
)
from OnPolicyDistill.trainers.lesson import Lesson
from OnPolicyDistill.trainers.milestones import begin, learn_until_done
from OnPolicyDistill.trainers.prompted_lesson import prepare_prompted_lesson
from OnPolicyDistill.trainers.questions import read_questions
from OnPolicyDistill.trainers.variants import is_measured, measure_variant, summary


def train(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Run prompt distillation in a run folder, from the start, a checkpoint, or between stages.

    Raises:
        StoppedError: a stop was asked for; the run can be resumed in the stage it was in.
        DistillError: anything else that ends the run, in words; it is in the event log as well.
    """
    with run.occupied():
        reporter, stop = Reporter(run, observer), stop or StopRequest()
        with reported(reporter), stoppable(stop):
            state = begin(run, reporter, checkpoint)
            stage = _prepare(run, reporter, stop)
            student, adapter = _measured_student(stage, _generate(stage))
            lesson: Course | Lesson
            if stage.questions.settings.training == "sft":
                lesson = _prepare_course(stage, student, adapter)
                path = supervised.journey(lesson)
            else:
                lesson = prepare_prompted_lesson(stage, student, adapter)
                path = distilling.journey(lesson)
                if checkpoint is None:
                    distilling.prove(lesson)
            if checkpoint is not None:
                lesson.load_arrays(checkpoint)
            learn_until_done(path, state, lambda: _evaluate(stage, student))


def _prepare(run: RunDirectory, reporter: Reporter, stop: StopRequest) -> AnsweringStage:
    """Read what is asked, before any model is loaded."""
    config = run.config()
    assert isinstance(config, PromptDistillationConfig)
    settings = config.prompt_distillation
    stage = AnsweringStage(run, read_questions(settings, reporter), reporter, stop)
    prepare_answers(stage)
    return stage


def _generate(stage: AnsweringStage) -> Policy:
    """Let the teacher answer and leave memory; returns the student, its adapter not yet on."""
    settings, reporter = stage.questions.settings, stage.reporter
    needs_answers = settings.training == "sft" and not stage.is_done
    if needs_answers or not is_measured(stage, "teacher_with_prompt"):
        reporter.phase("loading", f"Loading the teacher {settings.teacher_model}.")
        teacher = load_policy(settings.teacher_model, settings.mixed_precision)
        if needs_answers:
            generate_answers(stage, teacher)
        measure_variant(stage, "teacher_with_prompt", teacher)
        if settings.is_self_distillation:
            return teacher
        unload(teacher)
    reporter.phase("loading", f"Loading the student {settings.student_model}.")
    return load_policy(settings.student_model, settings.mixed_precision)


def _measured_student(stage: AnsweringStage, student: Policy) -> tuple[Policy, AttachedAdapter]:
    """Put the adapter on, and measure the student before it learns."""
    settings = stage.questions.settings
    adapter: AttachedAdapter | None
    if settings.student_adapter is not None:
        student, adapter = load_adapter(student, Path(settings.student_adapter))
    else:
        adapter = choose_what_learns(student, settings.lora, settings.seed, stage.reporter)
    assert adapter is not None
    measure_variant(stage, "student_before", student)
    measure_variant(stage, "student_with_prompt", student)
    return student, adapter


def _prepare_course(stage: AnsweringStage, student: Policy, adapter: AttachedAdapter) -> Course:
    """Encode what the student learns and is held out from it."""
    settings = stage.questions.settings
    train_file, held_out_file = (stage.folder / name for name in CONVERSATION_FILES.values())
    rows = encode_file(student, train_file, settings.max_length, stage.reporter)
    held_out: tuple[ConversationRow, ...] = ()
    if held_out_file.stat().st_size:
        held_out = encode_file(student, held_out_file, settings.max_length, stage.reporter)
    settings = settings.settled(len(rows))
    stage.reporter.phase("loading", f"{len(rows)} answers.", num_steps=settings.num_steps)
    return Course(
        run=stage.run,
        settings=settings,
        model=settings.student_model,
        reporter=stage.reporter,
        stop=stage.stop,
        student=student,
        adapter=adapter,
        rows=rows,
        held_out=held_out,
        updater=create_updater(student, settings),
    )


def _evaluate(stage: AnsweringStage, student: Policy) -> dict[str, float]:
    """Measure the best student without the prompt; returns the figures of all four variants."""
    best = pointed(stage.run, "best") or pointed(stage.run, "last")
    if best is not None:
        fill_adapter(student.model, read_adapter_weights(best), best)
    measure_variant(stage, "student_after", student)
    return summary(stage)
