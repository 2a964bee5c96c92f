"""Supervised fine-tuning: the assistant's turns of given conversations, token by token.

With N learned tokens in the whole optimizer step, a step minimizes

    -1 / N * sum log student(token | everything before it)

over the assistant's tokens only, end-of-sequence tokens included. With `lora` the adapter learns
and the projection is fused into the loss; without it every weight does, tied heads included,
which is how the embedded models are made.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, Reporter, StopRequest
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.conversation_rows import ConversationRow, encode_file
from OnPolicyDistill.training.files import named_file
from OnPolicyDistill.training.shown_answers import NOTHING_SHOWN, ShownPrompts, shown_of_file
from OnPolicyDistill.training.student import Student, attach_fresh_adapter, student_of
from OnPolicyDistill.training.supervised import (
    evaluate,
    in_micro_batches,
    learn,
    rows_of_step,
    step_metrics,
)
from OnPolicyDistill.training.supervised_proof import prove_supervised
from OnPolicyDistill.training.turn_ends import warn_of_unstopped_turns
from OnPolicyDistill.training.work import Work, begun


def train(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Run supervised fine-tuning in a run folder, from the start or from a checkpoint.

    Raises:
        StoppedError: a stop was asked for; the checkpoint is written and the run can be resumed.
        DistillError: anything else that ends the run, in words; it is in the event log as well.
    """
    with begun(run, observer, stop, checkpoint) as work:
        given = prepare(work)
        settings, student, ranks = given.settings, given.student, work.ranks
        if checkpoint is None:
            first = rows_of_step(given.rows, settings, 1, settings.length_buckets)
            prove_supervised(work, student, first[: settings.batch_size], given.rows, settings)
        else:
            student.load(checkpoint)

        for step in work.steps(
            settings,
            evaluate=lambda: evaluate(work, student, given.held_out, settings, given.shown),
            save=student.save,
        ):
            started = time.perf_counter()
            rows = ranks.own(rows_of_step(given.rows, settings, step, settings.length_buckets))
            num_tokens = work.total_tokens(sum(len(row.learned) for row in rows))
            seed_dropout(student.policy.model, ranks.seed(settings.seed, "dropout", step))
            loss = 0.0
            gradients: Gradients = {}
            for batch in in_micro_batches(rows, settings.batch_size):
                check_stop()
                share, more = learn(student, batch, num_tokens)
                gradients = add_gradients(gradients, more)
                mx.eval(gradients)
                loss += share
            gradients, loss = ranks.add_up(gradients, loss, student.policy.model)
            update = student.updater.apply(gradients, loss, step)
            seconds = time.perf_counter() - started
            work.report(step, step_metrics(loss, num_tokens, seconds), update)
        work.finish()


@dataclass(frozen=True, slots=True)
class Given:
    """A student and the conversations that are given to it; only the student's arrays change.

    `shown` are the first held-out ones, which the student answers for people to see.
    """

    settings: SftSettings
    student: Student
    rows: tuple[ConversationRow, ...]
    held_out: tuple[ConversationRow, ...]
    shown: ShownPrompts = NOTHING_SHOWN


def prepare(work: Work) -> Given:
    """Load the model and the conversations, and choose what learns.

    Raises:
        DistillError: a file or the model cannot be used.
    """
    settings, reporter = work.settings, work.reporter
    assert isinstance(settings, SftSettings)
    reporter.phase("loading", f"Loading the model {settings.model}.")
    policy = load_policy(settings.model, settings.mixed_precision, settings, work.book)
    warn_of_unstopped_turns(policy, reporter)
    file = named_file(facts_of(settings), "conversations", settings.conversations)
    rows = _encoded(policy, file, settings, reporter)
    held_out: tuple[ConversationRow, ...] = ()
    shown = NOTHING_SHOWN
    if settings.validation_conversations is not None:
        validation = Path(settings.validation_conversations)
        held_out = _encoded(policy, validation, settings, reporter)
        shown = shown_of_file(policy, validation, held_out)
    work.keep_pictures()
    settings = settings.settled(len(rows))
    steps = f"{len(rows)} rows, {settings.rows_per_step} a step: {settings.num_steps} steps."
    reporter.phase("loading", steps, num_steps=settings.num_steps)
    policy, adapter = _choose_what_learns(policy, settings, reporter)
    student = student_of(policy, adapter, settings, settings.model)
    return Given(settings, student, rows, held_out, shown)


def _encoded(
    policy: Policy, file: Path, settings: SftSettings, reporter: Reporter
) -> tuple[ConversationRow, ...]:
    return encode_file(policy, file, settings.max_length, reporter, settings.thinking)


def _choose_what_learns(
    policy: Policy, settings: SftSettings, reporter: Reporter
) -> tuple[Policy, AttachedAdapter | None]:
    """Attach an adapter, or let every weight learn where the settings have no `lora`.

    Raises:
        ConfigError: every weight should learn, but they are quantized.
        ModelError: the adapter to continue from cannot be read, or a target cannot be adapted.
    """
    if settings.student_adapter is not None:
        return load_adapter(policy, Path(settings.student_adapter))
    if settings.lora is not None:
        return policy, attach_fresh_adapter(policy, settings.lora, settings.seed, reporter)
    if any(isinstance(module, nn.QuantizedLinear) for module in policy.model.modules()):
        raise ConfigError(
            f"{policy.name} is quantized, and packed weights cannot learn.",
            "Set sft.lora, or use the bf16 form of the model.",
            (("sft.lora", "a quantized model needs an adapter"),),
        )
    policy.model.unfreeze()
    return policy, None
