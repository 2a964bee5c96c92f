"""The proof of learning where completions are given: they are what is learned, and nothing else is.

A run that learns by heart the wrong tokens draws the same falling curve as one that works: the mask
one place off, a prompt that is learned as well, a gradient that is not the loss's. So the first
micro-batch is looked at before the first step, and what that changes is put back to the bit.

Letters: B rows, T padded length, N learned positions of a micro-batch, D hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.arrays import as_float, as_int
from OnPolicyDistill.datasets.order import drawn_evenly
from OnPolicyDistill.evaluation.proof import require, step_checks, with_advice
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy, encode_text
from OnPolicyDistill.optim.adamw import create_adamw
from OnPolicyDistill.optim.gradients import Gradients, gradient_norm
from OnPolicyDistill.rollout import PackedBatch
from OnPolicyDistill.runs.events import Check, SelfTestFinished
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.conversation_rows import ConversationRow, pack_rows
from OnPolicyDistill.training.student import Student
from OnPolicyDistill.training.supervised import learn, loss_at
from OnPolicyDistill.training.work import Work

LOOKED_AT_ROWS = 64
# Shares of the loss that a probing step should take away, tried until one does: a loss that bends
# sharply falls by small steps only, and one in 16 bits hides those.
FALLS = (0.1, 0.03, 0.01, 0.003, 0.001)
# Nats a token below which rounding may be larger than any fall: it is learned already.
LEARNED_LOSS = 1e-3


def prove_supervised(
    work: Work,
    student: Student,
    batch: Sequence[ConversationRow],
    rows: Sequence[ConversationRow],
    settings: OptimizerSettings,
) -> None:
    """Show on a micro-batch that the student learns its completions, or stop the run.

    Of all `rows` some are looked at without the model: where what is learned of them begins and
    ends.

    Raises:
        ProofError: a claim does not hold.
    """
    detail = "Proving that the answers, and only they, are learned."
    work.reporter.phase("self_test", detail)
    model = student.policy.model
    before = {n: mx.array(a) for n, a in flat_arrays(model.trainable_parameters()).items()}
    mx.eval(before)
    measured = (
        *answer_checks(student.policy, rows, settings.seed),
        *_mask_checks(student, batch),
        *_learning_checks(student, batch, settings, before),
        _put_back(model, before),
    )
    checks = tuple(map(with_advice, measured))
    passed = all(check.passed for check in checks)
    work.reporter.emit(SelfTestFinished(passed=passed, checks=checks))
    require(checks)


def answer_checks(policy: Policy, rows: Sequence[ConversationRow], seed: int) -> tuple[Check, ...]:
    """Whether answers are learned from where the model would begin to write them.

    Not every one has to: behind something else than a user's turn, such as what a tool returned,
    some templates open the assistant's turn in other words.
    """
    opening = encode_text(policy, policy.chat_template.opening())
    # As the tokenizer says it, which may change white space.
    header: str = policy.tokenizer.decode(opening).lstrip()
    some = [rows[place] for place in drawn_evenly(len(rows), LOOKED_AT_ROWS, seed)]
    answers = [(row, start, end) for row in some for start, end in spans(row.learned)]
    begin = sum(_text_before(policy, row, start).endswith(header) for row, start, _ in answers)
    endless = sum(row.token_ids[end - 1] not in policy.stop_ids for row, _, end in answers)
    return (
        Check.above(
            "answers_begin",
            "Learning begins where the model would begin to write (share of the answers).",
            begin / max(len(answers), 1),
            0,
        ).model_copy(update={"figures": {"answers": len(answers), "without a stop": endless}}),
    )


def spans(places: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of neighbouring places, each as its first place and the one behind its last."""
    if not places:
        return []
    breaks = [n + 1 for n, (one, next_one) in enumerate(pairwise(places)) if next_one > one + 1]
    edges = pairwise([0, *breaks, len(places)])
    return [(places[start], places[end - 1] + 1) for start, end in edges]


def _text_before(policy: Policy, row: ConversationRow, place: int) -> str:
    """Text in front of a place, special tokens spelled out and pictures left out."""
    words = [token for token in row.token_ids[:place] if token < policy.vocab_size]
    text: str = policy.tokenizer.decode(words)
    return text


def _mask_checks(student: Student, rows: Sequence[ConversationRow]) -> tuple[Check, Check]:
    """Whether each label is the token behind its place, and all other places are silent."""
    batch = pack_rows(rows)
    width = batch.tokens.shape[1]
    hidden = read_hidden_states(student.policy.model, batch.tokens)  # (B, T, D)
    following = batch.tokens.reshape(-1)[batch.positions + 1]
    num_other = as_int((following != batch.labels).sum())
    heard = _heard_places(student, hidden, batch)  # (B * T,)
    wanted = [n * width + place - 1 for n, row in enumerate(rows) for place in row.learned]
    num_heard = as_int(heard.sum())
    num_wanted = as_int(heard[mx.array(wanted)].sum())
    return (
        Check.at_most(
            "labels_follow",
            "What a place has to say is the token that follows it (places where it is another).",
            num_other,
            0,
        ),
        Check.at_most(
            "rest_is_silent",
            "The words of prompts, and padding, have no gradient as labels (places that have one).",
            num_heard - num_wanted,
            0,
            {"places learned": num_wanted},
        ),
    )


def _heard_places(student: Student, hidden: mx.array, batch: PackedBatch) -> mx.array:
    """Which places' hidden states the loss has any gradient in, (B * T,)."""
    gradient = mx.grad(lambda states: loss_at(student, states, batch, batch.num_tokens))(hidden)
    return mx.any(gradient != 0, axis=-1).reshape(-1)


def _learning_checks(
    student: Student,
    rows: Sequence[ConversationRow],
    settings: OptimizerSettings,
    before: dict[str, mx.array],
) -> tuple[Check, ...]:
    """Whether a step moves what learns and nothing else, and the gradient leads downwards."""
    model = student.policy.model
    num_tokens = sum(len(row.learned) for row in rows)

    def learn_again() -> tuple[float, Gradients]:
        check_stop()
        # The same masks each time: another mask is another loss.
        seed_dropout(model, derive_seed(settings.seed, "dropout", 1))
        return learn(student, rows, num_tokens)

    # MLX differentiates nothing where nothing may learn.
    loss, gradients = learn_again() if before else (0.0, Gradients())
    checks = step_checks(
        model,
        lambda _: gradients,
        lambda: create_adamw(settings, model),
        has_adapter=student.adapter is not None,
    )
    if loss < LEARNED_LOSS:
        return checks
    slope = as_float(gradient_norm(gradients)) ** 2
    falls = 0.0
    for share in FALLS if slope > 0 else ():
        size = share * loss / slope
        _move(model, before, gradients, size)
        falls = (loss - learn_again()[0]) / (share * loss)
        model.load_weights(list(before.items()), strict=False)
        if falls > 0:
            break
    claim = "A step down the gradient lowers the loss (share of the fall that it foretells)."
    return (*checks, Check.above("loss_falls", claim, falls, 0))


def _move(model: nn.Module, before: dict[str, mx.array], gradients: Gradients, size: float) -> None:
    """Go from `before` down the gradient."""
    slopes = flat_arrays(gradients)
    moved = [(n, (a - size * slopes[n]).astype(a.dtype)) for n, a in before.items()]
    model.load_weights(moved, strict=False)


def _put_back(model: nn.Module, before: dict[str, mx.array]) -> Check:
    now = flat_arrays(model.trainable_parameters())
    changed = sum(not bool(mx.array_equal(now[n], array)) for n, array in before.items())
    return Check.at_most(
        "put_back", "Afterwards all that learns is as it was (arrays that differ).", changed, 0
    )
