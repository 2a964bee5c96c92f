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
- Thinking Machines' recipe (2025) corrects `sampled_reverse_kl` by importance weights of single
  tokens; here a rollout is used for one step of the policy that sampled it, where the weight is 1
  and left out. With `rollout_reuse` later steps weigh positions by the way to them
  (losses/importance.py).
- The hard-label term is ours: the teacher's top token on the student's own completion.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.distillation import DistillationSettings
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
from OnPolicyDistill.training.prompts import encode_prompts
from OnPolicyDistill.training.records import StepReport, watched
from OnPolicyDistill.training.reuse import Reuse, save
from OnPolicyDistill.training.rollouts import rows_of_step
from OnPolicyDistill.training.teachers import prepare_teachers, prove_teachers
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
        reuse = Reuse(settings, work.ranks)
        _begin(work, pair, reuse, checkpoint)
        objective, ranks = objective_of(settings), work.ranks

        for step in work.steps(
            settings,
            evaluate=lambda: evaluate(work, student, teacher, pair.held_out, pair.teacher_marks),
            save=lambda folder: save(folder, pair, reuse, work.state.step),
        ):
            pair.begin(step)
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
            work.rest()

            with report.timed("learning"):
                report.of_all(ranks)
                gradients, report.loss = ranks.add_up(gradients, report.loss, student.policy.model)
                update = student.updater.apply(gradients, report.loss, step)
            metrics = work.report(step, report.metrics() | teacher.cache_metrics(), update)
            show(work, report, student, pair.texts)
            work.alarms.after_step(watched(metrics, settings), settings.max_generation_tokens)
        work.finish()


def _begin(work: Work, pair: Pair, reuse: Reuse, checkpoint: Path | None) -> None:
    """Prove that a new run can learn, or put a resumed one back where it stood."""
    if checkpoint is not None:
        pair.load(checkpoint)
        reuse.load(checkpoint, work.state.step)
        return
    (prove_teachers if pair.settings.teachers else prove_pair)(work, pair)
    work.rest()


def prepare(work: Work) -> Pair:
    """Load both models and the prompts, which only words are read of."""
    settings, reporter = work.settings, work.reporter
    assert isinstance(settings, DistillationSettings)
    prepare_all = prepare_teachers if settings.keeps_teachers else prepare_pair
    return prepare_all(
        work,
        settings,
        load=lambda name: load_policy(name, settings.mixed_precision),
        encode=lambda policy, file: encode_prompts(
            policy, file, settings.max_prompt_tokens, reporter
        ),
    )
