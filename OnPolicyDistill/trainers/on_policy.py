"""On-policy distillation: the student samples, the teacher scores, the divergence teaches.

With p^T = softmax(logits / T), N completion tokens in the whole optimizer step and D the
divergence that the config names, a step minimizes

    kl_weight * T^2 / N * sum D(student^T, teacher^T) - ce_weight / N * sum log student(top token)

where the top token is the teacher's own at T = 1 (docs/methods.md derives the gradients). How this
differs from the papers:

- GKD (Agarwal et al., arXiv 2306.13649) mixes in ground-truth completions; the other share here is
  the teacher's own completions, so a run needs prompts only.
- MiniLLM (Gu et al., arXiv 2306.08543) adds a length-normalized reward, teacher-mixed sampling and
  a pre-training loss; none of them is here.
- Thinking Machines' recipe (2025) corrects `sampled_reverse_kl` by importance weights; here every
  rollout is used for one step of the policy that sampled it, so the weight is 1 and left out.
- The hard-label term is ours: the teacher's top token on the student's own completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.evaluation.heldout import HeldOut, complete, grade
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, Reporter, StopRequest
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.teacher.scorer import EXACT, Scorer
from OnPolicyDistill.teacher.scoring import Teacher
from OnPolicyDistill.training.distillation import (
    PROBE_ROWS,
    evaluate,
    learn,
    objective_of,
    prove,
    sample,
    score,
    show,
)
from OnPolicyDistill.training.pair import compare_folders, load_teacher
from OnPolicyDistill.training.prompts import read_prompts
from OnPolicyDistill.training.records import StepReport
from OnPolicyDistill.training.rollouts import (
    COMPLETIONS_FILE,
    CompletionStore,
    MicroBatch,
    Row,
    complete_rows,
    first_epoch,
    make_completions,
    rows_of_step,
    uses_fixed_rollouts,
)
from OnPolicyDistill.training.served import require_served
from OnPolicyDistill.training.student import Student, put_adapter_on, student_of
from OnPolicyDistill.training.work import Work, begun


def train(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Run on-policy distillation in a run folder, from the start or from a checkpoint.

    Raises:
        StoppedError: a stop was asked for; the checkpoint is written and the run can be resumed.
        DistillError: anything else that ends the run, in words; it is in the event log as well.
    """
    with begun(run, observer, stop, checkpoint) as work:
        pair = prepare(work)
        settings, student, teacher = pair.settings, pair.student, pair.teacher
        if checkpoint is None:
            _prove(work, pair)
        else:
            student.load(checkpoint)
        objective = objective_of(settings)

        for step in work.steps(
            settings,
            evaluate=lambda: evaluate(work, student, teacher, pair.held_out, pair.teacher_marks),
            save=student.save,
        ):
            report = StepReport(step)
            with report.timed("sampling"):
                rows = rows_of_step(settings, pair.prompts, step)
                batches = sample(rows, student, teacher, pair.store, settings, work.hooks)

            num_tokens = sum(batch.num_tokens for batch in batches)
            seed_dropout(student.policy.model, derive_seed(settings.seed, "dropout", step))
            gradients: Gradients = {}
            for batch in batches:
                check_stop()
                with report.timed("scoring"):
                    targets = score(teacher, student, batch)
                check_stop()
                with report.timed("learning"):
                    learned, more = learn(student, batch, targets, num_tokens, objective)
                    gradients = add_gradients(gradients, more)
                    mx.eval(gradients)
                report.add(learned)

            with report.timed("learning"):
                update = student.updater.apply(gradients, report.loss, step)
            metrics = work.report(step, report.metrics() | teacher.cache_metrics(), update)
            show(work, report, student, pair.texts)
            work.alarms.after_step(metrics, settings.max_generation_tokens)
        work.finish()


@dataclass(frozen=True, slots=True)
class Pair:
    """A student and its teacher with what they are taught by; only the student's arrays change.

    `teacher_marks` say which held-out prompts the teacher answers rightly; the store has the
    completions that come again.
    """

    settings: DistillationSettings
    student: Student
    teacher: Scorer
    prompts: tuple[EncodedPrompt, ...]
    held_out: HeldOut
    teacher_marks: tuple[float | None, ...]
    store: CompletionStore

    @property
    def texts(self) -> dict[int, str]:
        """Prompts as people read them, by their place in the file."""
        return {prompt.index: prompt.text for prompt in self.prompts}


def prepare(work: Work) -> Pair:
    """Load models and prompts, put the adapter on, and make what has to exist before step 1.

    With `keep_teacher_loaded` both models are in memory. Without it they never are at the same
    time: the student samples and leaves, the teacher scores into the cache and leaves.

    Raises:
        DistillError: a file, a model or the pair cannot be used.
    """
    settings, reporter = work.settings, work.reporter
    assert isinstance(settings, DistillationSettings)
    reporter.phase("loading", "Comparing the tokenizers of student and teacher.")
    vocab_size = compare_folders(settings.student_model, settings.teacher_model)
    policy, adapter = _load_student(settings, vocab_size, reporter)
    prompts, settings = read_prompts(settings, policy, reporter)
    store = CompletionStore(work.run.path / COMPLETIONS_FILE)
    coming_again = first_epoch(settings, prompts.train) if uses_fixed_rollouts(settings) else []
    make_completions("student", policy, coming_again, store, settings, work)
    if not settings.keep_teacher_loaded:
        unload(policy)
    teacher, held_out = load_teacher(settings, vocab_size, reporter), prompts.held_out
    require_served(teacher, settings, "distillation")
    teacher.share_prefix([prompt.ids for prompt in (*prompts.train, *held_out.prompts)])
    marks = grade(teacher.policy, held_out, work.hooks)
    make_completions("teacher", teacher.policy, coming_again, store, settings, work)
    if not settings.keep_teacher_loaded:
        held_out = _keep_scores(work, teacher, held_out, coming_again, store)
        teacher.unload()
        policy, adapter = _load_student(settings, vocab_size, reporter)
    student = student_of(policy, adapter, settings, settings.student_model)
    return Pair(settings, student, teacher, prompts.train, held_out, marks, store)


def _load_student(
    settings: DistillationSettings, vocab_size: int, reporter: Reporter
) -> tuple[Policy, AttachedAdapter]:
    reporter.phase("loading", f"Loading the student {settings.student_model}.")
    policy = load_policy(settings.student_model, settings.mixed_precision)
    return put_adapter_on(replace(policy, vocab_size=vocab_size), settings, reporter)


def _keep_scores(
    work: Work, teacher: Teacher, held_out: HeldOut, rows: Sequence[Row], store: CompletionStore
) -> HeldOut:
    """Score whatever will be asked for into the cache, before the teacher is unloaded.

    Returns the held-out set with the teacher's own completions, on which the student is measured
    from then on.

    Raises:
        RunError: the cache is too small.
    """
    rollouts = [store.get(row) for row in rows]

    def progress(done: int) -> None:
        work.reporter.phase("scoring", "Scores for the cache.", done, len(rollouts))

    own = complete(teacher.policy, held_out, SamplingSettings(), work.hooks)
    teacher.keep(own, EXACT)
    teacher.keep(rollouts[:PROBE_ROWS], EXACT)
    teacher.keep(rollouts, progress=progress)
    return replace(held_out, fixed=tuple(own))


def _prove(work: Work, pair: Pair) -> None:
    """Prove on the first rows: on those the student samples now, or on those that come again."""
    settings, student = pair.settings, pair.student
    work.reporter.phase("self_test", "Proving that teacher, gradients and adapter are real.")
    rows = first_epoch(settings, pair.prompts)[:PROBE_ROWS]
    if uses_fixed_rollouts(settings):
        batch = MicroBatch([], [pair.store.get(row) for row in rows])
        is_own = all(row.source == "student" for row in rows)
    else:
        batch = MicroBatch(complete_rows(student.policy, rows, settings, work.hooks), [])
        is_own = True
    prove(work, settings, student, pair.teacher, batch, is_own and settings.samples_policy)
