"""A run's outlook with each of many models in one place: which teachers fit beside this student."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.config import RunConfig
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.planning.outlook import Ground, Outlook, look, survey, with_settings


class Choice(BaseModel):
    """A model that could be named, and the run with it; `problem` is why there is no forecast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    outlook: Outlook | None
    problem: str | None = None


class Choices(BaseModel):
    """Every model that was asked for, in the same order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choices: tuple[Choice, ...]


def forecast_choices(
    config: RunConfig, key: str, names: Sequence[str], workspace: Path | None = None
) -> Choices:
    """Forecast a run on this machine with each of the models under `key` of its block.

    The prompts are measured once: with the run's own student, whoever is tried in its place.
    """
    ground = _ground(config, key, names, workspace)
    if isinstance(ground, str):
        return Choices(
            choices=tuple(Choice(name=name, outlook=None, problem=ground) for name in names)
        )
    return Choices(choices=tuple(_tried(config, key, names, ground)))


def _ground(
    config: RunConfig, key: str, names: Sequence[str], workspace: Path | None
) -> Ground | str:
    """The ground of the run, or with the first model that does where its own cannot be read."""
    problem = "There is no model to try."
    for name in (None, *names[:1]):
        changed = config if name is None else with_settings(config, {key: name})
        try:
            return survey(changed, workspace=workspace)
        except DistillError as error:
            problem = error.message
    return problem


def _tried(config: RunConfig, key: str, names: Sequence[str], ground: Ground) -> Iterator[Choice]:
    for name in names:
        try:
            outlook = look(with_settings(config, {key: name}), ground)
        except DistillError as error:
            yield Choice(name=name, outlook=None, problem=error.message)
        else:
            yield Choice(name=name, outlook=outlook)
