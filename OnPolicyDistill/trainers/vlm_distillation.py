"""On-policy distillation of models that see: student and teacher look at the same pictures.

What a step minimizes is that of trainers/on_policy.py, word for word: every place of a picture is
a token id of its own (pictures.py), so that sampling, scoring, cache and loss are one code for
words and pictures. The vision tower is frozen and outside of the gradient; what it saw of a
picture is computed once by each model and kept. What is different here:

- prompts show pictures, numbered by the run's book, `pictures.json`, which a resumed run opens;
- both models have to cut pictures alike;
- accuracy is counted of boxed answers, and again behind a blank and behind another prompt's
  picture: a divergence can fall while sight does not improve, and only these controls tell.

Stacks that write one placeholder id for every picture have to forbid the student to sample it
(EasyR1 issue 110, verl issue 3469). Here the placeholder is a word like any other, and sampled and
re-scored logprobs stay equal.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.evaluation.controls import Controls
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.distillation import (
    complete_new,
    evaluate,
    learn,
    objective_of,
    sample,
    score,
    show,
)
from OnPolicyDistill.training.pair import Pair, prepare_pair, prove_pair
from OnPolicyDistill.training.pictured_prompts import PicturePrompts, picture_metrics
from OnPolicyDistill.training.records import StepReport, watched
from OnPolicyDistill.training.reuse import Reuse, save
from OnPolicyDistill.training.rollouts import rows_of_step
from OnPolicyDistill.training.work import Work, begun


def train(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Run distillation of models that see in a run folder, from the start or from a checkpoint.

    Raises:
        StoppedError: a stop was asked for; the checkpoint is written and the run can be resumed.
        DistillError: anything else that ends the run, in words; it is in the event log as well.
    """
    with begun(run, observer, stop, checkpoint) as work:
        pair = prepare(work)
        settings, student, teacher = pair.settings, pair.student, pair.teacher
        reuse = Reuse(settings, work.ranks)
        if checkpoint is None:
            prove_pair(work, pair)
        else:
            student.load(checkpoint)
            reuse.load(checkpoint, work.state.step)
        objective, ranks = objective_of(settings), work.ranks

        for step in work.steps(
            settings,
            evaluate=lambda: evaluate(work, student, teacher, pair.held_out, pair.teacher_marks),
            save=lambda folder: save(folder, student, reuse, work.state.step),
        ):
            report = StepReport(step, settings.max_generation_tokens)
            with report.timed("sampling"):
                if reuse.is_due(step):
                    rows = rows_of_step(settings, pair.prompts, reuse.sampling(step))
                    complete_new(rows, teacher, pair.store, settings, work.hooks)
                    limited = settings.limited(work.state.loss_tokens)
                    reuse.keep(sample(rows, student, teacher, pair.store, limited, work.hooks))
                batches = reuse.batches(step)
                num_tokens = work.total_tokens(sum(batch.num_tokens for batch in batches))

            seed_dropout(student.policy.model, ranks.seed(settings.seed, "dropout", step))
            gradients: Gradients = {}
            for place, batch in enumerate(batches):
                check_stop()
                with report.timed("scoring"):
                    targets = reuse.targets(place, partial(score, teacher, student, batch))
                check_stop()
                with report.timed("learning"):
                    learned, more = learn(student, batch, targets, num_tokens, objective)
                    gradients = add_gradients(gradients, more)
                    mx.eval(gradients)
                report.add(learned)

            with report.timed("learning"):
                report.of_all(ranks)
                gradients, report.loss = ranks.add_up(gradients, report.loss, student.policy.model)
                update = student.updater.apply(gradients, report.loss, step)
            kept = teacher.cache_metrics() | picture_metrics(student.policy)
            metrics = work.report(step, report.metrics() | kept, update)
            show(work, report, student, pair.texts)
            work.alarms.after_step(watched(metrics, settings), settings.max_generation_tokens)
        work.finish()


def prepare(work: Work) -> Pair:
    """Load both models and the prompts with their pictures, of which the run's book has the ids.

    Raises:
        DistillError: a file, a picture, a model or the pair cannot be used.
    """
    settings = work.settings
    assert isinstance(settings, VlmDistillationSettings)
    book = work.book
    prompts = PicturePrompts(settings, book, work.reporter)
    pair = prepare_pair(
        work,
        settings,
        load=lambda name: load_policy(name, settings.mixed_precision, settings, book),
        encode=prompts.encode,
    )
    work.keep_pictures()
    if not settings.controls:
        return pair
    controls = Controls(book, settings.control_prompts)
    return replace(pair, held_out=replace(pair.held_out, controls=controls))
