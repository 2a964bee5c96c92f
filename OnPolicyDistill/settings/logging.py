"""Settings of other programs that draw a run's curves beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.strict import Settings

Where = Literal["offline", "online"]


class LoggingSettings(Settings):
    """Which other programs are told a run's metrics; the run's own log stays the truth."""

    tensorboard: bool = Field(
        False,
        title="TensorBoard",
        description="Write event files for TensorBoard into the workspace, under "
        "loggers/tensorboard.",
    )
    wandb: Where | None = Field(
        None,
        title="Weights & Biases",
        description="Tell Weights & Biases: offline writes files under loggers/wandb that "
        "`wandb sync` can send, online sends settings and metrics out of this machine.",
    )
    wandb_entity: str | None = Field(
        None,
        max_length=120,
        title="W&B entity",
        description="User or team at Weights & Biases; empty: your own.",
    )
    trackio: bool = Field(
        False,
        title="Trackio",
        description="Write into trackio's own database on this machine, for `trackio show`.",
    )
    trackio_space: str | None = Field(
        None,
        max_length=200,
        title="Trackio Space",
        description="A Hugging Face Space (name or user/name) that trackio sends settings and "
        "metrics to, out of this machine.",
    )
    project: str = Field(
        "onpolicydistill",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        title="Project",
        description="What the project is called there.",
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> LoggingSettings:
        refuse(self, self._contradictions())
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.trackio_space is not None and not self.trackio:
            yield "trackio_space", "a Space is named, but trackio is off: set trackio to true"
        if self.wandb_entity is not None and self.wandb is None:
            yield "wandb_entity", "an entity is named, but wandb is off: set wandb to online"

    @property
    def in_words(self) -> str:
        """Who is told, and whether anything leaves the machine; empty where nobody is."""
        told = [
            "TensorBoard" if self.tensorboard else "",
            f"Weights & Biases ({self.wandb})" if self.wandb else "",
            f"trackio ({self.trackio_space or 'on this machine'})" if self.trackio else "",
        ]
        return ", ".join(name for name in told if name)
