"""The proof of learning of surgery: only the projector moves, and what it says is seen.

Before the first step a probe step is taken and undone. At the end the frozen parts are hashed
again, byte by byte, and compared with what the run began with, however often it was resumed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import mlx.core as mx

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.errors import ProofError
from OnPolicyDistill.evaluation.proof import require
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.models.parameters import arrays_of
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.optim.adamw import create_adamw
from OnPolicyDistill.optim.gradients import Gradients, gradient_norm
from OnPolicyDistill.runs.events import Check, SelfTestFinished
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.trainers.projector.preparing import Surgery, has_picture
from OnPolicyDistill.training.conversation_rows import ConversationRow
from OnPolicyDistill.training.work import Work

FROZEN_FILE = "frozen.json"
Learn = Callable[[Policy, Sequence[ConversationRow], int], tuple[float, Gradients]]

ADVICE = {
    "gradient_flows": (
        "The loss does not reach the projector: see that the conversations have pictures before "
        "their answers."
    ),
    "projector_moves": "The step was too small for float32: raise learning_rate.",
    "rest_stays": "Weights beside the projector learn: report which models these are.",
    "picture_is_seen": (
        "Another picture changes nothing: see that the held-out pictures differ, and report it."
    ),
}


def prove(work: Work, surgery: Surgery, learn: Learn) -> None:
    """Measure the claims on one row, and note what the frozen parts are; nothing is changed.

    Raises:
        ProofError: a claim does not hold, so that training would be a pretence.
    """
    work.reporter.phase("self_test", "Proving that only the projector learns, and that it is seen.")
    before = surgery.student.frozen_hashes()
    write_text_atomically(work.run.path / FROZEN_FILE, json.dumps(before))
    checks = [*_step_checks(surgery, learn, before), *_sight_checks(surgery, learn)]
    advised = tuple(
        check if check.passed else check.model_copy(update={"advice": ADVICE[check.name]})
        for check in checks
    )
    passed = all(check.passed for check in advised)
    work.reporter.emit(SelfTestFinished(passed=passed, checks=advised))
    require(advised)


def final_figures(work: Work, surgery: Surgery) -> dict[str, float]:
    """What the run shows at its end: losses, how far the projector went, what stayed as it was.

    Raises:
        ProofError: a frozen part is not what the run began with.
    """
    began = json.loads((work.run.path / FROZEN_FILE).read_text(encoding="utf-8"))
    now = surgery.student.frozen_hashes()
    changed = [part.replace("_", " ") for part in now if now[part] != began[part]]
    if changed:
        raise ProofError(
            f"The {' and the '.join(changed)} changed since the run began, and only the projector "
            "may learn.",
            "If the model's folder was replaced, start a new run; else report it.",
        )
    arrays = arrays_of(surgery.student.projector)
    moved = sum(as_float(mx.square(arrays[n] - surgery.start[n]).sum()) for n in arrays)
    figures = {f"{part}_unchanged": 1.0 for part in now}
    figures["projector_moved"] = moved**0.5
    history = fold(read_events(work.run.events_file))
    best = history.best or history.before
    if history.before is not None and best is not None:
        figures["loss_before"] = history.before.metrics["eval_loss"]
        figures["loss_after"] = best.metrics["eval_loss"]
        if "eval_shuffled_loss" in best.metrics:
            figures["wrong_picture_loss"] = best.metrics["eval_shuffled_loss"]
    return figures


def _step_checks(surgery: Surgery, learn: Learn, before: dict[str, str]) -> list[Check]:
    """Take one optimizer step, look at what moved, and put everything back."""
    student, row = surgery.student, next(filter(has_picture, surgery.rows), surgery.rows[0])
    _, gradients = learn(student.policy, [row], len(row.learned))
    model = student.policy.model
    create_adamw(surgery.settings, model).update(model, gradients)
    arrays = arrays_of(student.projector)
    moved = sum(as_float(mx.abs(arrays[n] - surgery.start[n]).sum()) for n in arrays)
    num_changed = sum(part != before[name] for name, part in student.frozen_hashes().items())
    student.projector.load_weights(list(surgery.start.items()))
    norm = as_float(gradient_norm(gradients))
    return [
        Check.above(
            "gradient_flows", "The loss has a gradient in the projector (its norm).", norm, 0
        ),
        Check.above(
            "projector_moves", "One step changes the projector (sum of absolute changes).", moved, 0
        ),
        Check.at_most(
            "rest_stays",
            "One step leaves every byte of tower and language model as it was (parts that differ).",
            num_changed,
            0,
        ),
    ]


def _sight_checks(surgery: Surgery, learn: Learn) -> list[Check]:
    """See that another picture gives another loss, if there is another one."""
    if not surgery.shuffled:
        return []
    pairs = zip(surgery.held_out, surgery.shuffled, strict=True)
    pair = next((pair for pair in pairs if has_picture(pair[0])), None)
    if pair is None:
        return []
    own, other = (learn(surgery.student.policy, [row], len(row.learned))[0] for row in pair)
    return [
        Check.above(
            "picture_is_seen",
            "Another picture gives another loss (difference on one conversation, nats).",
            abs(own - other),
            0,
        )
    ]
