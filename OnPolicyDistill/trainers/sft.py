"""Supervised fine-tuning: the assistant's turns of given conversations, token by token.

With N learned tokens in the whole optimizer step, a step minimizes

    -1 / N * sum log student(token | everything before it)

over the assistant's tokens only, end-of-sequence tokens included. With `lora` the adapter learns
and the projection is fused into the loss; without it every weight does, tied heads included,
which is how the embedded models are made.
"""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, Reporter, StopRequest, reported
from OnPolicyDistill.stopping import stoppable
from OnPolicyDistill.trainers.course import prepare_course
from OnPolicyDistill.trainers.milestones import begin, learn_until_done
from OnPolicyDistill.trainers.supervised import journey


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
    with run.occupied():
        reporter, stop = Reporter(run, observer), stop or StopRequest()
        with reported(reporter), stoppable(stop):
            state = begin(run, reporter, checkpoint)
            course = prepare_course(run, reporter, stop)
            if checkpoint is not None:
                course.load_arrays(checkpoint)
            learn_until_done(journey(course), state)
