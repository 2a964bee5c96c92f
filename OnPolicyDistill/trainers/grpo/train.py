"""GRPO: the student completes each prompt several times, and the better completions get likelier.

With p the ratio of a token's probability to what it was when it was sampled, A the advantage of its
rollout over the others of its group, and w a weight that says what is averaged, a step minimizes

    sum w * (-min(p A, clip(p, 1 - epsilon, 1 + epsilon_high) A) + beta * KL to the reference)

(losses/grpo.py has the weights and the variants, losses/advantages.py the advantages). How this
differs from the papers:

- A step samples once and then takes `num_iterations` updates. With one, the policy is the one that
  sampled, p is 1, and the loss is near 0 whatever is learned: look at rewards, not at it.
- With more, the old logprobs are those of the first update's own pass, not the sampler's, which
  other kernels computed; how far the two are apart is a metric.
- A group of equal rewards is dead: it has advantages of exactly 0 and is left out of the pass. A
  step of dead groups alone changes nothing, not even through the optimizer's moments.
- The reference is said: the base model under the adapter, or the adapter that the run began with.
- `bnpo` is not offered: it divides by a micro-batch's tokens, so accumulation changes the step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.evaluation.heldout import HeldOut
from OnPolicyDistill.losses.grpo import PolicyObjective
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.optim.schedule import learning_rate
from OnPolicyDistill.optim.updating import Update
from OnPolicyDistill.rewards.chosen import ChosenReward, choose_rewards
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.trainers.grpo.evaluate import evaluate
from OnPolicyDistill.trainers.grpo.groups import (
    GROUPS,
    Group,
    asked_anew,
    asked_in_step,
    compare,
    grade,
    micro_batches,
    put_in,
    sample,
)
from OnPolicyDistill.trainers.grpo.learn import (
    MicroBatch,
    Reference,
    batch_of,
    learn,
    objective_of,
    reference_of,
)
from OnPolicyDistill.trainers.grpo.prove import prove
from OnPolicyDistill.trainers.grpo.report import StepReport, rollout_records
from OnPolicyDistill.training.prompts import encode_prompts, read_prompts
from OnPolicyDistill.training.student import Student, put_adapter_on, student_of
from OnPolicyDistill.training.turn_ends import warn_of_unstopped_turns
from OnPolicyDistill.training.work import Work, begun


def train(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Run GRPO in a run folder, from the start or from a checkpoint.

    Raises:
        StoppedError: a stop was asked for; the checkpoint is written and the run can be resumed.
        DistillError: anything else that ends the run, in words; it is in the event log as well.
    """
    with begun(run, observer, stop, checkpoint) as work:
        task = prepare(work)
        settings, student, policy = task.settings, task.student, task.student.policy
        if checkpoint is None:
            prove(work, student, asked_in_step(settings, task.prompts, 1), settings)
        else:
            student.load(checkpoint)
        head, objective, ranks = student.head, objective_of(settings), work.ranks

        # `evaluate` runs before the first step too, as evaluation 0: what the start was worth.
        for step in work.steps(
            settings,
            evaluate=lambda: evaluate(work, policy, task.held_out, task.rewards, settings),
            save=student.save,
        ):
            report = StepReport(step)
            groups = sample_and_grade(work, task, report)
            # The rewards' weights are on by now: `grade_all` in rewards/chosen.py added them up.
            # Here a group's sums become advantages.
            advantages = compare(groups, settings)
            rows = micro_batches(groups, advantages, settings)
            with report.timed("scoring"):
                batches = [with_reference(task, batch_of(some), objective) for some in rows]

            for update_number in range(settings.num_iterations):
                seed_dropout(policy.model, ranks.seed(settings.seed, "dropout", step))
                gradients: Gradients = {}
                loss = 0.0
                for place, batch in enumerate(batches):
                    if update_number == 0:
                        # Not later: a checkpoint would hold half a step.
                        check_stop()
                    with report.timed("learning"):
                        learned, more = learn(policy.model, head, batch, objective)
                        gradients = add_gradients(gradients, more)
                        mx.eval(gradients)
                    # Without old logprobs the loss takes the pass's own as constants: p is 1 and
                    # its gradient that of log p. They are the old ones of every later update.
                    if update_number == 0:
                        batches[place] = replace(batch, old_logprobs=learned.stats.logprob)
                    loss += learned.loss
                    report.add(learned)
                with report.timed("learning"):
                    update, loss = move(work, student, gradients, loss, step)
                report.losses.append(loss)

            work.own_tokens = report.num_learned_tokens
            report.of_all(ranks)
            metrics = work.report(step, report.metrics(groups, advantages), update)
            for record in rollout_records(step, groups, advantages, policy):
                work.reporter.rollout(record)
            work.alarms.after_step(metrics, settings.max_generation_tokens)
        work.finish()


@dataclass(frozen=True, slots=True)
class Task:
    """A student, what it is asked, and how that is graded; only the student's arrays change."""

    settings: GrpoSettings
    student: Student
    reference: Reference | None
    prompts: tuple[EncodedPrompt, ...]
    held_out: HeldOut
    rewards: tuple[ChosenReward, ...]


def prepare(work: Work) -> Task:
    """Load rewards, model and prompts, and put the adapter on.

    Raises:
        DistillError: a file, a reward or the model cannot be used.
    """
    settings, reporter = work.settings, work.reporter
    assert isinstance(settings, GrpoSettings)
    reporter.phase("loading", f"Loading the model {settings.model}.")
    policy = load_policy(settings.model, settings.mixed_precision)
    warn_of_unstopped_turns(policy, reporter)
    policy, adapter = put_adapter_on(policy, settings, reporter)
    most = settings.max_prompt_tokens
    prompts, settings = read_prompts(
        settings, lambda file: encode_prompts(policy, file, most, reporter), reporter
    )
    answers = [prompt.answer for prompt in prompts.train if prompt.answer is not None]
    rewards = choose_rewards(settings.rewards, answers)
    student = student_of(policy, adapter, settings, settings.model)
    # All rows of a step are decoded side by side; an evaluation may do the same.
    held_out = replace(prompts.held_out, max_rows=settings.completions_per_step)
    reference = reference_of(policy.model, settings)
    return Task(settings, student, reference, prompts.train, held_out, rewards)


def sample_and_grade(work: Work, task: Task, report: StepReport) -> list[Group]:
    """Complete the step's prompts and grade what is said; dead groups are asked something else.

    The ranks share the work, and each gets all groups: advantages and weights are of the whole
    step. That is done `max_resamples` times at most; groups that are dead then stay as they are.
    """
    settings, policy = task.settings, task.student.policy
    asked, groups = asked_in_step(settings, task.prompts, report.step), list[Group]()
    for _ in range(1 + settings.max_resamples):
        with report.timed("sampling"):
            own = work.ranks.own(asked)
            sampled = sample(policy, own, settings, work.hooks)
        with report.timed("grading"):
            graded = grade(policy, own, sampled, task.rewards, settings.max_generation_tokens)
            graded = work.ranks.together(graded, GROUPS)
        report.add_sampled(graded)
        # Only dead groups are asked anew, each another prompt under its own number. What comes
        # takes the dead one's place, dead or not, so that a step keeps its size and its order.
        groups = put_in(groups, graded)
        asked = asked_anew(settings, task.prompts, groups)
        if not asked:
            break
    return groups


def with_reference(task: Task, batch: MicroBatch, objective: PolicyObjective) -> MicroBatch:
    """The micro-batch with the reference's logprobs, where the loss asks for them."""
    if task.reference is None:
        return batch
    check_stop()
    model, head = task.student.policy.model, task.student.head
    logprobs = task.reference.score(model, head, batch, objective)
    return replace(batch, reference_logprobs=logprobs)


def move(
    work: Work, student: Student, gradients: Gradients, loss: float, step: int
) -> tuple[Update, float]:
    """Take one update with what all ranks learned; returns it and the loss over all ranks.

    Without anything that was learned from, on any rank, it takes none, whatever moments hold.
    """
    settings, ranks = work.settings, work.ranks
    assert isinstance(settings, GrpoSettings)
    if ranks.total(len(gradients)) == 0:
        return Update(0.0, learning_rate(settings, step), was_taken=True), loss
    gradients, loss = ranks.add_up(gradients, loss, student.policy.model)
    update = student.updater.apply(gradients, loss, step)
    work.is_halfway = True
    return update, loss
