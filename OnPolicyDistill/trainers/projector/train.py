"""Vision adapter surgery: a projector learns to say to a language model what a vision tower sees.

1. learn: with N learned tokens in the whole optimizer step, a step minimizes

       -1 / N * sum log model(token | pictures, words and everything before it)

   over the tokens of answers without thoughts, in the projector alone. Gradients pass through every
   layer of the language model and change none. What the tower says of a picture is made once;
2. ask: held-out questions are answered without and with thinking, and with the picture of another
   one (asking.py): what was learned without thoughts has to hold with them, and without seeing
   nothing is right.

Both stages leave their files in the run and are not done again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.evaluation.intervals import measure
from OnPolicyDistill.losses.cross_entropy import cross_entropy
from OnPolicyDistill.models.layout import output_head
from OnPolicyDistill.models.policy import Policy, hidden_states
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.prompt_values import PromptValues
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.trainers.projector.asking import ask, is_right
from OnPolicyDistill.trainers.projector.preparing import Surgery, prepare
from OnPolicyDistill.trainers.projector.proof import final_figures, prove
from OnPolicyDistill.training.conversation_rows import ConversationRow, pack_rows
from OnPolicyDistill.training.shown_answers import answer_shown
from OnPolicyDistill.training.supervised import (
    in_micro_batches,
    measure_loss,
    rows_of_step,
    step_metrics,
)
from OnPolicyDistill.training.work import Work, begun


def train(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Run vision adapter surgery in a run folder, from the start, a checkpoint, or between stages.

    Raises:
        StoppedError: a stop was asked for; the run can be resumed in the stage it was in.
        DistillError: anything else that ends the run, in words; it is in the event log as well.
    """
    with begun(run, observer, stop, checkpoint) as work:
        surgery = prepare(work)
        settings, student, ranks = surgery.settings, surgery.student, work.ranks
        if checkpoint is None:
            prove(work, surgery, learn)
        else:
            student.load(checkpoint)

        for step in work.steps(
            settings, evaluate=lambda: evaluate(work, surgery), save=student.save
        ):
            started = time.perf_counter()
            rows = ranks.own(rows_of_step(surgery.rows, settings, step))
            num_tokens = work.total_tokens(sum(len(row.learned) for row in rows))
            loss = 0.0
            gradients: Gradients = {}
            for batch in in_micro_batches(rows, settings.batch_size):
                check_stop()
                share, more = learn(student.policy, batch, num_tokens)
                gradients = add_gradients(gradients, more)
                mx.eval(gradients)
                loss += share
            gradients, loss = ranks.add_up(gradients, loss, student.policy.model)
            update = student.updater.apply(gradients, loss, step)
            seconds = time.perf_counter() - started
            metrics = step_metrics(loss, num_tokens, seconds) | surgery.picture_metrics()
            work.report(step, metrics, update)

        if not ranks.is_first:
            return
        surgery.fill_with_best(run)
        answers = ask(work, surgery)
        work.finish({**final_figures(work, surgery), **answers})


def learn(
    policy: Policy, rows: Sequence[ConversationRow], normalizer: int
) -> tuple[float, Gradients]:
    """Loss of a micro-batch as its share of the step's, and the projector's gradient of it."""
    batch = pack_rows(rows)
    weights = mx.ones(batch.labels.shape)

    def loss_of(model: nn.Module) -> mx.array:
        hidden = hidden_states(model, batch.tokens)  # (B, T, D)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
        head = output_head(model, policy.vocab_size)
        return cross_entropy(hidden, head, batch.labels, weights, normalizer)[0]

    loss, gradients = nn.value_and_grad(policy.model, loss_of)(policy.model)
    mx.eval(loss, gradients)
    return as_float(loss), gradients


def evaluate(work: Work, surgery: Surgery) -> Verdict:
    """Measure the held-out loss with the right pictures and with others, and judge the former."""
    settings: ProjectorSettings = surgery.settings
    work.reporter.phase("evaluating", f"{len(surgery.held_out)} held-out conversations.")
    started = time.perf_counter()
    own = measure_loss(surgery.student.policy, surgery.held_out, settings).values
    sums = {**own.token_sums}
    if surgery.shuffled:
        other = measure_loss(surgery.student.policy, surgery.shuffled, settings).values
        sums["eval_shuffled_loss"] = other.token_sums["eval_loss"]
    values = PromptValues(
        prompts=own.prompts,
        tokens=own.tokens,
        token_sums=sums,
        num_available=surgery.num_available,
    )
    said = answer_shown(
        surgery.student.policy,
        surgery.shown,
        work.hooks,
        mark=lambda text, given: float(is_right(text, given)),
    )
    measured = replace(measure(values, settings.seed), answers=said)
    measured.metrics["eval_seconds"] = time.perf_counter() - started
    return work.judge(measured, work.best_metric)
