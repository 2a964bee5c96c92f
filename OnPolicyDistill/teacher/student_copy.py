"""A teacher that is the student as it was: a copy of its adapter, made anew every so many steps.

The base model is in memory once. While the copy scores, its A and B are put in the places of the
student's, which come back afterwards, array for array. At step 1 it is the student, so that it
teaches nothing; from then on it holds what other teachers change on its own prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.adapters.lora import adapter_parameters
from OnPolicyDistill.arrays import load_tensors
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.losses.targets import Targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import Offer, TargetForm
from OnPolicyDistill.teacher.scoring import Teacher


class StudentCopyTeacher:
    """A `Scorer` with the student's model and an earlier state of its adapter.

    `made_at` is the step after which the copy was made, 0 before the first.
    """

    def __init__(
        self, student: Policy, form: TargetForm, cache: TeacherCache, refresh_every: int
    ) -> None:
        self.form = form
        self.made_at = 0
        self.refresh_every = refresh_every
        self._student = student
        self._cache = cache
        self._copy_now(0)

    @property
    def offer(self) -> Offer:
        """Everything but completions of its own."""
        return Offer(is_exact=True, scores_given=True, completes=False)

    @property
    def is_loaded(self) -> bool:
        """Whether its weights are in memory: those of the student are."""
        return True

    @property
    def policy(self) -> Policy:
        """Not offered: the student's model writes as the student.

        Raises:
            RunError: always.
        """
        raise RunError(
            "The student's own copy writes no completions here.",
            "Set on_policy_fraction to 1, so that every completion is the student's.",
        )

    def begin(self, step: int) -> None:
        """Hear that a step begins: the copy is made anew behind every `refresh_every` steps."""
        done = step - 1
        if done > self.made_at and done % self.refresh_every == 0:
            self._copy_now(done)

    def save(self, file: Path) -> None:
        """Write the copy for a checkpoint."""
        mx.save_safetensors(str(file), self._weights, {"made_at": str(self.made_at)})

    def load(self, file: Path) -> None:
        """Put the copy of a checkpoint back.

        Raises:
            RunError: it is missing, or of another adapter.
        """
        try:
            weights, told = load_tensors(str(file))
            mx.eval(weights)
            made_at = int(told["made_at"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise _no_copy(file) from error
        shapes = {name: array.shape for name, array in self._weights.items()}
        if shapes != {name: array.shape for name, array in weights.items()}:
            raise _no_copy(file)
        self._keep({name: weights[name] for name in self._weights}, made_at)

    def expect(self, rollout: Rollout) -> None:
        """Nothing: it reads in this process."""

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """Whether kept rows need the ids that the student likes now."""
        return self._teacher.compresses_anew(form)

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts as `Teacher.score` does, wearing the copy."""
        with self._worn():
            return self._teacher.score(fresh, kept, form, kept_ids)

    def cache_metrics(self) -> dict[str, float]:
        """What its cache did since the last call."""
        return self._teacher.cache_metrics()

    def _copy_now(self, step: int) -> None:
        # Arrays are never changed in place: what the student has now stays as it is.
        self._keep(adapter_parameters(self._student.model), step)

    def _keep(self, weights: dict[str, mx.array], step: int) -> None:
        mx.eval(weights)
        self._weights, self.made_at = weights, step
        # Scores of an earlier copy are never this one's.
        worn = replace(self._student, fingerprint=f"{self._student.fingerprint}+copy{step}")
        self._teacher = Teacher(worn, self._cache, self.form)

    @contextmanager
    def _worn(self) -> Iterator[None]:
        model = self._student.model
        own = adapter_parameters(model)
        model.load_weights([*self._weights.items()], strict=False)
        try:
            yield
        finally:
            model.load_weights([*own.items()], strict=False)


def _no_copy(file: Path) -> RunError:
    return RunError(
        f"{file} is no copy of this run's student.",
        "Resume from an earlier checkpoint with --from.",
    )
