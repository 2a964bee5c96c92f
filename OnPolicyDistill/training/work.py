"""A run as a trainer works on it: the steps to take, and what comes between them.

A trainer's `train` is a loop over steps; what all of them share is here: the lock, the log, the
state and where it is resumed, evaluations and checkpoints where they are due, a stop, the end.

    with begun(run, observer, stop, checkpoint) as work:
        ...                                       # models, prompts, what stays the same
        for step in work.steps(settings, evaluate, save):
            ...                                   # sample, score, learn
            work.report(step, metrics, update)
        work.finish()
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.config import settings_of
from OnPolicyDistill.distributed.ranks import this_process
from OnPolicyDistill.errors import ConfigError, RankLostError, StoppedError
from OnPolicyDistill.evaluation.data_files import data_files
from OnPolicyDistill.evaluation.intervals import Measured
from OnPolicyDistill.generation.request import GenerationHooks
from OnPolicyDistill.memory import memory_metrics, reset_peak
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.optim.updating import Update
from OnPolicyDistill.pictures import PictureBook
from OnPolicyDistill.runs.checkpoints import (
    TrainingState,
    discard_checkpoints_after,
    point,
    read_state,
)
from OnPolicyDistill.runs.directory import RunDirectory, config_hash
from OnPolicyDistill.runs.events import FinishedBecause
from OnPolicyDistill.runs.prompt_values import discard_values_after
from OnPolicyDistill.runs.ranks import RanksStep, RankStep, write_ranks
from OnPolicyDistill.runs.reporting import (
    Observer,
    Reporter,
    StopRequest,
    announce,
    occupying,
    process_memory_gb,
)
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.training.alarms import Alarms
from OnPolicyDistill.training.between_steps import (
    is_checkpoint_due,
    is_evaluation_due,
    point_best,
    take_evaluation,
    write_checkpoint,
    write_end,
)

NO_FIGURES: Mapping[str, float] = {}


@contextmanager
def begun(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> Iterator[Work]:
    """Hold a run, announce it or its return to a checkpoint, and tell in its log how it ends.

    A stop between the first and the last step saves what is learned by then, and so does a rank
    that is lost. A stop ends the block without an exception where the user wants the run finished.

    Raises:
        ConfigError: the run's settings changed since the checkpoint.
        StoppedError: a stop was asked for; the run can be resumed.
        RankLostError: another rank is gone; the run can be resumed.
    """
    with ExitStack() as held, occupying(run, observer, stop) as (reporter, asked):
        work = Work(run, reporter, asked)
        held.push(work.closing)
        work.begin(checkpoint)
        try:
            yield work
        except StoppedError:
            if not work.is_learning:
                raise
            work.save()
            if run.control().action == "pause":
                raise
            work.finish(because="stopped")
        except RankLostError:
            # The sum came to nothing, so that no step was taken since the last one was reported.
            if work.is_learning and not work.is_halfway:
                work.save()
            raise


class Judgement(BaseModel):
    """What the first rank tells the others of an evaluation: what it means, and the state then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    state: TrainingState


class Work:
    """One process's work on a run: its config, read once, where it reports, and how far it is.

    `settings` are the block of the config's method; `state` is that of the last finished step.
    `book` numbers the run's pictures, for all its models. `ranks` are the processes that work on
    it together, each of which has a Work; all take the steps, the first one does the rest.
    `is_halfway` says that the student has taken a part of a step that is not reported yet.
    """

    def __init__(self, run: RunDirectory, reporter: Reporter, stop: StopRequest) -> None:
        self.run = run
        self.reporter = reporter
        self.stop = stop
        self.config = run.config()
        self.settings = settings_of(self.config)
        self.alarms = Alarms(reporter)
        self.book = PictureBook.load(run.pictures_file)
        self.state = TrainingState(
            step=0,
            config_hash=config_hash(self.config),
            seed=self.settings.seed,
            data_cursor=0,
            num_tokens=0,
        )
        self.closing = ExitStack()
        self.ranks = this_process()
        self.own_tokens = 0  # of the step under way, learned from by this rank
        # Ends what ranks ask of a model that they have in parts; set where there is one.
        self.rest: Callable[[], None] = lambda: None
        self.is_halfway = False
        self._because: FinishedBecause = "completed"
        self._schedule: tuple[OptimizerSettings, Callable[[Path], None]] | None = None

    @property
    def hooks(self) -> GenerationHooks:
        """What the generation loop asks between tokens: whether to stop."""
        return GenerationHooks(should_stop=self.stop)

    @property
    def best_metric(self) -> str:
        """The metric that decides which checkpoint is best; its declaration says which way."""
        key = facts_of(self.settings).best_metric
        assert key is not None
        return key

    def keep_pictures(self) -> None:
        """Write which ids the pictures met so far have: a resumed run gives them the same."""
        self.book.save(self.run.pictures_file)

    @property
    def is_learning(self) -> bool:
        """Whether the work is between its first and its last step."""
        return self._schedule is not None

    def begin(self, checkpoint: Path | None) -> None:
        """Announce the run, or its return to a checkpoint.

        Raises:
            ConfigError: the run's settings changed since the checkpoint.
        """
        run = self.run
        if checkpoint is not None:
            self.state = _matching_state(run, checkpoint, self.state.config_hash)
            point(run, "last", checkpoint)
        discard_checkpoints_after(run, self.state.step)
        # A crash between a checkpoint and its link, or what was discarded, left `best` elsewhere.
        point_best(run, self.state)
        discard_values_after(run, self.state.step)
        self.reporter.step = self.state.step
        announce(self.reporter, self.config, data_files)

    def steps(
        self,
        settings: OptimizerSettings,
        evaluate: Callable[[], Verdict],
        save: Callable[[Path], None],
    ) -> Iterator[int]:
        """Yield the steps to take, until they are used up or nothing improves any more.

        `evaluate` measures and says what to make of it (`judge`); it is called before a step
        wherever the settings want it, and once behind the last one. `save` writes what a
        checkpoint needs beside the state into a folder. Each step has to end with `report`.

        Raises:
            StoppedError: a stop was asked for.
        """
        self._schedule = settings, save
        verdict: Verdict = "waiting"
        saved_at = monotonic()
        while True:
            if is_evaluation_due(settings, self.state):
                verdict = self._evaluated(evaluate)
            minutes = (monotonic() - saved_at) / 60
            if is_checkpoint_due(settings, self.state, verdict, minutes):
                self.save()
                saved_at = monotonic()
            if verdict == "plateau" or self.state.step == settings.num_steps:
                break
            self.stop.check()
            reset_peak()
            self.ranks.waited.look()
            step = self.state.step + 1
            yield step
            assert self.state.step == step, "every step is reported"
            verdict = "waiting"
        self._because = "plateau" if verdict == "plateau" else "completed"
        self._schedule = None

    def report(self, step: int, metrics: Mapping[str, float], update: Update) -> dict[str, float]:
        """Write a step's metrics, which then is finished; returns those that are numbers.

        They hold the step's `loss`, `num_tokens` and `step_seconds`. Memory and what the update
        says are added.
        """
        everything = {
            **metrics,
            "grad_norm": update.grad_norm,
            "learning_rate": update.learning_rate,
            **memory_metrics(),
            "process_memory_gb": process_memory_gb(),
        }
        finite = {key: value for key, value in everything.items() if math.isfinite(value)}
        self.reporter.finish_step(step, finite)
        self.is_halfway = False
        self.state = self.state.model_copy(
            update={
                "step": step,
                "data_cursor": self._settings().rows_by(step),
                "num_tokens": self.state.num_tokens + int(metrics["num_tokens"]),
                "train_seconds": self.state.train_seconds + metrics["step_seconds"],
            }
        )
        if not update.was_taken:
            self.reporter.warn(
                "not_finite",
                f"Step {step} gave a loss of {metrics['loss']} and a gradient norm of "
                f"{update.grad_norm}; it was left out.",
                "If it happens again, lower learning_rate.",
            )
        # Behind everything else: a rank that is lost here is lost after a whole step.
        self._hear_ranks(step, metrics["step_seconds"])
        return finite

    def total_tokens(self, own: int) -> int:
        """Tokens that the step learns from, over the ranks; `own` are this one's."""
        self.own_tokens = own
        return self.ranks.total(own)

    def _hear_ranks(self, step: int, seconds: float) -> None:
        """Let every rank say what the step was to it; the first one keeps that for the screen."""
        if self.ranks.is_alone:
            return
        own = RankStep(
            rank=self.ranks.rank,
            host=socket.gethostname(),
            num_rows=len(self.ranks.own(range(self._settings().rows_per_step))),
            num_tokens=self.own_tokens,
            seconds=seconds,
            waiting_seconds=self.ranks.waited.look(),
            memory_gb=process_memory_gb(),
        )
        said = self.ranks.gather(own.model_dump_json())
        if self.ranks.is_first:
            every = tuple(RankStep.model_validate_json(one) for one in said)
            write_ranks(self.run, RanksStep(step=step, ranks=every))

    def judge(self, measured: Measured, key: str) -> Verdict:
        """Keep and report an evaluation, of which the metric `key` decides; says what it means.

        Raises:
            DivergedError: the run is far worse than it began, evaluation after evaluation.
        """
        self.state, verdict = take_evaluation(
            self.reporter, self.state, measured, key, self._settings()
        )
        return verdict

    def save(self) -> None:
        """Write a checkpoint of the state unless it is there; the first rank does."""
        if not self.ranks.is_first:
            return
        assert self._schedule is not None, "what is saved is known once steps are taken"
        settings, write_arrays = self._schedule
        write_checkpoint(self.reporter, self.state, settings, write_arrays)

    def finish(
        self, figures: Mapping[str, float] = NO_FIGURES, because: FinishedBecause | None = None
    ) -> None:
        """Write the last event; `because` is known where no stop ended the steps.

        `figures` are added to its report as they are. The first rank writes it.
        """
        if not self.ranks.is_first:
            return
        write_end(self.reporter, self.state, because or self._because, figures)

    def _evaluated(self, evaluate: Callable[[], Verdict]) -> Verdict:
        """What an evaluation means; the first rank evaluates, and the others take its word."""
        if self.ranks.is_alone:
            return evaluate()
        if not self.ranks.is_first:
            self.rest()

        def judged_here() -> bytes:
            verdict = evaluate()
            self.rest()
            return self._judgement(verdict).encode()

        told = self.ranks.from_first(judged_here)
        judged = Judgement.model_validate_json(told)
        self.state = judged.state
        return judged.verdict

    def _judgement(self, verdict: Verdict) -> str:
        return Judgement(verdict=verdict, state=self.state).model_dump_json()

    def _settings(self) -> OptimizerSettings:
        """The settings with the number of steps, once that is known."""
        assert self._schedule is not None, "steps are being taken"
        return self._schedule[0]


def _matching_state(run: RunDirectory, checkpoint: Path, expected_hash: str) -> TrainingState:
    state = read_state(checkpoint)
    if state.config_hash != expected_hash:
        raise ConfigError(
            f"The settings of {run.run_id} changed since checkpoint {checkpoint.name} was written.",
            "Restore its config.yaml, or start a new run that continues from the checkpoint.",
        )
    return state
