"""Who scores: what trainers and evaluations ask of whoever grades, wherever its model is.

A scorer says what it can hand over, and everybody who needs its targets asks for what is offered
instead of assuming a loaded model. `Teacher` has its policy in this process (teacher/scoring.py);
`PromptedTeacher` is one behind another prompt (teacher/prompted.py), `RemoteTeacher` one behind
HTTP (teacher/remote.py). A scorer that hands over no
hidden states hands over top-k logprobs with their tail, at temperature 1 only: distances against
them are lower bounds, and are named so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import mlx.core as mx

from OnPolicyDistill.errors import PairError
from OnPolicyDistill.losses.targets import Targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.planning.pair import PairReport, check_pair
from OnPolicyDistill.rollout import Rollout


@dataclass(frozen=True, slots=True)
class TargetForm:
    """What is handed over: final hidden states, or the k best logprobs at a temperature."""

    kind: Literal["hidden_states", "top_k"]
    top_k: int = 0
    temperature: float = 1.0

    @property
    def name(self) -> str:
        """The form's part of a cache key."""
        if self.kind == "hidden_states":
            return self.kind
        return f"top_{self.top_k}_at_{self.temperature:g}"


EXACT = TargetForm("hidden_states")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a scorer can hand over.

    `is_exact`: final hidden states, hence anything at any temperature; otherwise top-k logprobs at
    temperature 1, of at most `max_top_k` tokens a position where there is a limit. `scores_given`:
    it also scores tokens that it is given, such as those that the student likes. `completes`: its
    `policy` writes completions of its own.
    """

    is_exact: bool
    scores_given: bool
    completes: bool
    max_top_k: int | None = None


class Scorer(Protocol):
    """Whoever grades completions of the student, token by token."""

    @property
    def offer(self) -> Offer:
        """What it can hand over now."""

    @property
    def form(self) -> TargetForm:
        """The form that the run learns from."""

    @property
    def is_loaded(self) -> bool:
        """Whether its weights are in this process's memory."""

    @property
    def policy(self) -> Policy:
        """What writes completions of its own, where that is offered.

        Raises:
            RunError: it is not.
        """

    def expect(self, rollout: Rollout) -> None:
        """Hear of a fresh row that the run's own form will be asked of, as soon as it is sampled.

        One that lives elsewhere may begin to read it; nothing has to come of it.
        """

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """Whether kept rows need the ids that the student likes now, see `score`."""

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts in `form`, the run's own by default: first the fresh, then the kept.

        `kept` rows will be asked about again. Where `compresses_anew`, `kept_ids` (positions of
        kept rows, k) are the student's best ids now; fresh rows carry the sampler's.
        """

    def cache_metrics(self) -> dict[str, float]:
        """What a step reports of how scores were kept; keys as in runs/metrics.py."""


def finest_form(scorer: Scorer) -> TargetForm:
    """The form in which distances at temperature 1 are measured: exact where that is offered."""
    return EXACT if scorer.offer.is_exact else scorer.form


class Speaker(Protocol):
    """Whoever will score, before it is loaded or reached: it says which tokens it speaks."""

    @property
    def name(self) -> str:
        """How the settings call it."""

    def compare_tokens(self, student: Path) -> PairReport:
        """Compare its tokens with those of a student's folder.

        Raises:
            ModelError: either cannot be read.
        """


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A scorer's model on this machine: its files say which tokens it speaks."""

    name: str
    folder: Path

    def compare_tokens(self, student: Path) -> PairReport:
        """Compare the files of both folders."""
        return check_pair(student, self.folder)


def shared_vocab_size(student: LocalModel, teacher: Speaker, action: str) -> int:
    """Make sure that both speak the same tokens; returns how many they share.

    Raises:
        PairError: they do not; `action` says what the user can do.
    """
    report = teacher.compare_tokens(student.folder)
    if report.verdict == "mismatch" or report.shared_vocab_size is None:
        message = f"{student.name} cannot learn from {teacher.name}: {report.summary}"
        raise PairError(message, action)
    return report.shared_vocab_size
