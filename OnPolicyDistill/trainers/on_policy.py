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

from pathlib import Path

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, Reporter, StopRequest, reported
from OnPolicyDistill.stopping import stoppable
from OnPolicyDistill.trainers.distilling import journey, prove
from OnPolicyDistill.trainers.lesson import prepare_lesson
from OnPolicyDistill.trainers.milestones import begin, learn_until_done


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
    with run.occupied():
        reporter, stop = Reporter(run, observer), stop or StopRequest()
        with reported(reporter), stoppable(stop):
            state = begin(run, reporter, checkpoint)
            lesson = prepare_lesson(run, reporter, stop)
            if checkpoint is None:
                prove(lesson)
            else:
                lesson.load_arrays(checkpoint)
            learn_until_done(journey(lesson), state)
