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

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.adapters.files import fill_adapter, read_adapter_weights
from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.datasets.answers import CONVERSATION_FILES, Split
from OnPolicyDistill.distributed.copies import share_files
from OnPolicyDistill.evaluation.heldout import HeldOut
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.policy import Policy, refuse_different_sight
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.prompted import PromptedTeacher
from OnPolicyDistill.teacher.scorer import EXACT, Scorer
from OnPolicyDistill.teacher.scoring import Teacher
from OnPolicyDistill.trainers.prompt_distillation.evaluate import (
    is_measured,
    measure_variant,
    summary,
)
from OnPolicyDistill.trainers.prompt_distillation.generate import (
    folder_of,
    generate_answers,
    is_generated,
    prepare_answers,
)
from OnPolicyDistill.trainers.prompt_distillation.inputs import (
    SPLITS,
    Inputs,
    number_pictures,
    read_inputs,
    render,
)
from OnPolicyDistill.training import distillation, supervised
from OnPolicyDistill.training.conversation_rows import ConversationRow, encode_file
from OnPolicyDistill.training.pair import compare_folders
from OnPolicyDistill.training.records import StepReport, watched
from OnPolicyDistill.training.reuse import Reuse, micro_batches, save
from OnPolicyDistill.training.rollouts import (
    MicroBatch,
    complete_rows,
    first_epoch,
    rows_of_step,
)
from OnPolicyDistill.training.served import require_served
from OnPolicyDistill.training.student import Student, put_adapter_on, student_of
from OnPolicyDistill.training.supervised_proof import prove_supervised
from OnPolicyDistill.training.turn_ends import warn_of_unstopped_turns
from OnPolicyDistill.training.work import Work, begun


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
    with begun(run, observer, stop, checkpoint) as work:
        assert isinstance(work.settings, PromptDistillationSettings)
        inputs = read_inputs(work.settings, work.reporter)
        if work.ranks.is_first:
            prepare_answers(work, inputs)
        policy = _generate(work, inputs)
        share_files(work.ranks, run, [folder_of(run)])
        warn_of_unstopped_turns(policy, work.reporter)
        policy, adapter = put_adapter_on(policy, inputs.settings, work.reporter)
        if work.ranks.is_first:
            measure_variant(work, inputs, "student_before", policy)
            measure_variant(work, inputs, "student_with_prompt", policy)
        if inputs.settings.training == "sft":
            _learn_answers(work, _given(work, inputs, policy, adapter), checkpoint)
        else:
            _learn_from_scores(work, _pair(work, inputs, policy, adapter), checkpoint)
        if not work.ranks.is_first:
            return
        _fill_with_best(run, policy)
        measure_variant(work, inputs, "student_after", policy)
        work.finish(summary(run))


def _learn_answers(work: Work, given: Given, checkpoint: Path | None) -> None:
    """Learn what the teacher answered, token by token."""
    settings, student, ranks = given.settings, given.student, work.ranks
    if checkpoint is None:
        first = supervised.rows_of_step(given.rows, settings, 1)[: settings.batch_size]
        prove_supervised(work, student, first, given.rows, settings)
    else:
        student.load(checkpoint)

    for step in work.steps(
        settings,
        evaluate=lambda: supervised.evaluate(work, student, given.held_out, settings),
        save=student.save,
    ):
        started = time.perf_counter()
        rows = ranks.own(supervised.rows_of_step(given.rows, settings, step))
        num_tokens = work.total_tokens(sum(len(row.learned) for row in rows))
        seed_dropout(student.policy.model, ranks.seed(settings.seed, "dropout", step))
        loss = 0.0
        gradients: Gradients = {}
        for batch in supervised.in_micro_batches(rows, settings.batch_size):
            check_stop()
            share, more = supervised.learn(student, batch, num_tokens)
            gradients = add_gradients(gradients, more)
            mx.eval(gradients)
            loss += share
        gradients, loss = ranks.add_up(gradients, loss, student.policy.model)
        update = student.updater.apply(gradients, loss, step)
        seconds = time.perf_counter() - started
        work.report(step, supervised.step_metrics(loss, num_tokens, seconds), update)


def _learn_from_scores(work: Work, pair: Pair, checkpoint: Path | None) -> None:
    """Answer without the prompt, and learn how the teacher, which sees it, scores the answers."""
    settings, student, teacher = pair.settings, pair.student, pair.teacher
    reuse = Reuse(settings, work.ranks)
    if checkpoint is None:
        _prove(work, pair)
    else:
        student.load(checkpoint)
        reuse.load(checkpoint, work.state.step)
    objective, ranks = distillation.objective_of(settings), work.ranks

    for step in work.steps(
        settings,
        evaluate=lambda: distillation.evaluate(work, student, teacher, pair.held_out),
        save=lambda folder: save(folder, student, reuse, work.state.step),
    ):
        report = StepReport(step, settings.max_generation_tokens)
        with report.timed("sampling"):
            if reuse.is_due(step):
                rows = ranks.own(rows_of_step(settings, pair.prompts, reuse.sampling(step)))
                limited = settings.limited(work.state.loss_tokens)
                sampled = complete_rows(student.policy, rows, limited, work.hooks)
                reuse.keep(micro_batches(sampled, settings.batch_size))
            batches = reuse.batches(step)
            num_tokens = work.total_tokens(sum(batch.num_tokens for batch in batches))

        seed_dropout(student.policy.model, ranks.seed(settings.seed, "dropout", step))
        gradients: Gradients = {}
        for place, batch in enumerate(batches):
            check_stop()
            with report.timed("scoring"):
                targets = reuse.targets(place, partial(teacher.score, batch.fresh))
            check_stop()
            with report.timed("learning"):
                learned, more = distillation.learn(student, batch, targets, num_tokens, objective)
                gradients = add_gradients(gradients, more)
                mx.eval(gradients)
            report.add(learned)

        with report.timed("learning"):
            report.of_all(ranks)
            gradients, report.loss = ranks.add_up(gradients, report.loss, student.policy.model)
            update = student.updater.apply(gradients, report.loss, step)
        metrics = work.report(step, report.metrics() | teacher.cache_metrics(), update)
        distillation.show(work, report, student, pair.texts)
        work.alarms.after_step(watched(metrics, settings), settings.max_generation_tokens)


@dataclass(frozen=True, slots=True)
class Given:
    """A student and the teacher's answers to learn; only the student's arrays change."""

    settings: PromptDistillationSettings
    student: Student
    rows: tuple[ConversationRow, ...]
    held_out: tuple[ConversationRow, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A student and its teacher, which sees the prompt; only the student's arrays change."""

    settings: DistillationSettings
    student: Student
    teacher: Scorer
    prompts: tuple[EncodedPrompt, ...]
    held_out: HeldOut

    @property
    def texts(self) -> dict[int, str]:
        """Inputs as people read them, by their place in the file."""
        return {prompt.index: prompt.text for prompt in self.prompts}


def _generate(work: Work, inputs: Inputs) -> Policy:
    """Let the teacher answer and leave memory; returns the student, its adapter not yet on.

    Only the first rank asks the teacher: the others load the student and wait for the answers.
    """
    settings, reporter = inputs.settings, work.reporter
    needs_answers = settings.training == "sft" and not is_generated(work.run)
    is_asked = needs_answers or not is_measured(work.run, "teacher_with_prompt")
    if is_asked and work.ranks.is_first:
        reporter.phase("loading", f"Loading the teacher {settings.teacher_model}.")
        teacher = _load(work, inputs, settings.teacher_model)
        if needs_answers:
            generate_answers(work, inputs, teacher)
        measure_variant(work, inputs, "teacher_with_prompt", teacher)
        if settings.is_self_distillation:
            return teacher
        unload(teacher)
    reporter.phase("loading", f"Loading the student {settings.student_model}.")
    return _load(work, inputs, settings.student_model)


def _load(work: Work, inputs: Inputs, name: str) -> Policy:
    """Load a model that finds the run's pictures by the ids that its book gives them."""
    policy = load_policy(name, inputs.settings.mixed_precision, inputs.settings, work.book)
    number_pictures(inputs, policy, work.book)
    work.keep_pictures()
    return policy


def _given(work: Work, inputs: Inputs, policy: Policy, adapter: AttachedAdapter) -> Given:
    """Encode what the student learns and is held out from it."""
    settings, reporter = inputs.settings, work.reporter
    train_file, held_out_file = (folder_of(work.run) / name for name in CONVERSATION_FILES.values())
    rows = encode_file(policy, train_file, settings.max_length, reporter)
    held_out: tuple[ConversationRow, ...] = ()
    if held_out_file.stat().st_size:
        held_out = encode_file(policy, held_out_file, settings.max_length, reporter)
    settings = settings.settled(len(rows))
    reporter.phase("loading", f"{len(rows)} answers.", num_steps=settings.num_steps)
    student = student_of(policy, adapter, settings, settings.student_model)
    return Given(settings, student, rows, held_out)


def _pair(work: Work, inputs: Inputs, policy: Policy, adapter: AttachedAdapter) -> Pair:
    """Pair each input without the prompt with what its teacher sees, and load what scores.

    Raises:
        PairError: student and teacher do not speak the same tokens.
        ModelError: there are pictures, and they do not read them alike.
    """
    own = inputs.settings
    teacher, vocab_size = policy, policy.vocab_size
    if not own.is_self_distillation:
        work.reporter.phase("loading", f"Loading the teacher {own.teacher_model}.")
        teacher = _load(work, inputs, own.teacher_model)
        if inputs.has_pictures:
            refuse_different_sight(policy, teacher)
        action = "Choose two models with the same tokenizer, or set training to sft."
        vocab_size = compare_folders(own.student_model, own.teacher_model, action)
    policy, teacher = (replace(one, vocab_size=vocab_size) for one in (policy, teacher))
    prompts = {split: _encoded(inputs, policy, split) for split in SPLITS}
    seen = {
        prompt.ids: render(teacher, item, inputs.prompt)[0]
        for split in SPLITS
        for prompt, item in zip(prompts[split], inputs.items[split], strict=True)
    }
    settings = own.as_distillation().settled(len(prompts["train"]))
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    scorer = PromptedTeacher(Teacher(teacher, cache, EXACT), seen)
    require_served(scorer, settings, "prompt_distillation")
    return Pair(
        settings=settings,
        student=student_of(policy, adapter, settings, settings.student_model),
        teacher=scorer,
        prompts=prompts["train"],
        held_out=HeldOut(prompts["held_out"], own.max_answer_tokens, own.rows_per_step, own.seed),
    )


def _encoded(inputs: Inputs, policy: Policy, split: Split) -> tuple[EncodedPrompt, ...]:
    return tuple(
        EncodedPrompt(index, render(policy, item, None)[0], item.text)
        for index, item in enumerate(inputs.items[split])
    )


def _prove(work: Work, pair: Pair) -> None:
    """Prove on the student's own answers to the first inputs."""
    settings, student = pair.settings, pair.student
    work.reporter.phase("self_test", "Proving that teacher, gradients and adapter are real.")
    rows = first_epoch(settings, pair.prompts)[: distillation.PROBE_ROWS]
    sampled = complete_rows(student.policy, rows, settings.limited(), work.hooks)
    batch = MicroBatch(sampled, [])
    distillation.prove(work, settings, student, pair.teacher, batch, settings.samples_policy)


def _fill_with_best(run: RunDirectory, policy: Policy) -> None:
    """Let the student be what it was at its best checkpoint."""
    best = exported(run)
    if best is not None:
        fill_adapter(policy.model, read_adapter_weights(best), best)
