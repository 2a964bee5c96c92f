"""Settings that every trainer with an optimizer and an adapter shares."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from OnPolicyDistill.settings.logging import LoggingSettings
from OnPolicyDistill.settings.problems import refuse
from OnPolicyDistill.settings.strict import Settings

Schedule = Literal["constant", "linear", "cosine"]
BestOfEquals = Literal["later", "earlier"]


class LoraSettings(Settings):
    """Low-rank adapter on the student's linear layers."""

    rank: int = Field(
        16, ge=1, le=1024, title="LoRA rank", description="Rank of the update matrices."
    )
    alpha: float = Field(
        32.0,
        gt=0,
        le=4096,
        title="LoRA alpha",
        description="Strength: the update is scaled by alpha / rank.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="LoRA dropout",
        description="Dropout on the adapter's input; always off in sampling.",
    )
    layers: int = Field(
        -1,
        ge=-1,
        le=1000,
        title="Layers adapted",
        description="How many layers, counted from the last; -1 means all.",
    )
    targets: tuple[str, ...] | None = Field(
        None,
        title="Linear layers adapted",
        description="Names of linear layers to adapt, such as q_proj; empty takes the family's "
        "list from the model registry, or every linear layer of a family it does not know. A "
        "name that matches nothing, or a router, is an error.",
    )
    experts: bool = Field(
        False,
        title="Adapt experts",
        description="Adapt the experts of a mixture as well, each with matrices of its own: many "
        "times the parameters. The router is never adapted.",
    )

    @field_validator("targets", mode="before")
    @classmethod
    def _take_one_name(cls, value: object) -> object:
        """One name is a list of one; several may be written with commas between them."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @model_validator(mode="after")
    def _refuse_nameless_targets(self) -> LoraSettings:
        refuse(
            self,
            (
                (f"targets.{number}", "a target is the name of a linear layer, such as q_proj")
                for number, target in enumerate(self.targets or ())
                if not all(part.isidentifier() or part.isdigit() for part in target.split("."))
            ),
        )
        return self


class OptimizerSettings(Settings):
    """What every trainer with an optimizer shares: steps, batches, rates, stopping."""

    num_steps: int = Field(
        1000, ge=1, le=10_000_000, title="Optimizer steps", description="Optimizer steps in all."
    )
    num_epochs: float | None = Field(
        None,
        gt=0,
        le=10_000,
        title="Epochs",
        description="How often every usable row is seen; when set, the steps follow from it and "
        "num_steps means nothing.",
    )
    batch_size: int = Field(
        4,
        ge=1,
        le=1024,
        title="Batch size",
        description="Rows in one forward and backward pass (a micro-batch).",
    )
    gradient_accumulation_steps: int = Field(
        2,
        ge=1,
        le=1024,
        title="Gradient accumulation",
        description="Micro-batches whose gradients make one optimizer step.",
    )
    learning_rate: float = Field(
        1e-5, gt=0, le=1, title="Learning rate", description="Peak learning rate of AdamW."
    )
    schedule: Schedule = Field(
        "constant", title="Schedule of the rate", description="Shape of the rate after the warm-up."
    )
    schedule_min_ratio: float = Field(
        0.1,
        ge=0,
        le=1,
        title="Lowest share of the rate",
        description="Where a decaying schedule ends, as a share of the peak.",
    )
    warmup_steps: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title="Warm-up steps",
        description="Steps over which the rate rises linearly.",
    )
    warmup_ratio: float | None = Field(
        None,
        ge=0,
        lt=1,
        title="Warm-up share",
        description="Share of all steps over which the rate rises; when set, warmup_steps means "
        "nothing.",
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1, title="Weight decay", description="Decoupled weight decay of AdamW."
    )
    max_grad_norm: float = Field(
        1.0,
        ge=0,
        title="Gradient clipping",
        description="Gradients longer than this are scaled down to it; 0 turns it off.",
    )
    grad_checkpoint: bool = Field(
        True,
        title="Recompute activations",
        description="Recompute activations in the backward pass: far less memory, more time. "
        "Turn it off where the plan says that the run fits without it.",
    )
    mixed_precision: bool = Field(
        True,
        title="Mixed precision",
        description="Keep weights in the type they are stored in (bf16 on a Mac); off loads "
        "float32. Losses, logprobs and the adapter are float32 either way.",
    )
    checkpoint_every: int = Field(
        100, ge=1, title="Steps between checkpoints", description="Steps between checkpoints."
    )
    checkpoint_minutes: float = Field(
        10.0,
        ge=0,
        le=100_000,
        title="Minutes between checkpoints",
        description="A checkpoint is also written at the first step that ends this many minutes "
        "after the last one; only the newest of these stays. 0 turns it off.",
    )
    keep_checkpoints: int = Field(
        3,
        ge=1,
        le=1000,
        title="Checkpoints kept",
        description="How many checkpoints stay beside the best one.",
    )
    eval_every: int = Field(
        100,
        ge=1,
        title="Steps between evaluations",
        description="Steps between evaluations on held-out data.",
    )
    early_stop_patience: int = Field(
        0,
        ge=0,
        title="Patience before stopping",
        description="Evaluations without an improvement beyond chance before the run stops; 0 "
        "never stops.",
    )
    best_of_equals: BestOfEquals = Field(
        "later",
        title="Best of equals",
        description="Which checkpoint is `best` among those whose held-out metric does not differ "
        "beyond chance: the one with more training, or the first.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Random seed", description="Where every random choice starts."
    )
    run_name: str | None = Field(
        None,
        max_length=120,
        title="Name of the run",
        description="A name for people; the run's id is made by itself.",
    )
    logging: LoggingSettings = Field(
        LoggingSettings(),
        title="Loggers",
        description="Other programs that are told the metrics; none is.",
    )

    def is_scheduled(self, step: int) -> bool:
        """Whether a checkpoint of this step counts among those that `keep_checkpoints` keeps."""
        return step % self.checkpoint_every == 0 or step % self.eval_every == 0

    @property
    def rows_per_step(self) -> int:
        """Rows of one optimizer step, over all its micro-batches."""
        return self.batch_size * self.gradient_accumulation_steps

    @property
    def steps_per_rows(self) -> int:
        """Optimizer steps that learn from the same rows."""
        return 1

    def rows_by(self, step: int) -> int:
        """Rows that a run has come to by the end of a step, from 1."""
        return -(-step // self.steps_per_rows) * self.rows_per_step

    @property
    def highest_share(self) -> float:
        """Highest rate of any step as a share of `learning_rate`; below 1 where none reaches it."""
        return min(self.num_steps / (self.warmup_steps + 1), 1.0)

    def settled(self, num_rows: int) -> Self:
        """These settings with the steps and the warm-up that follow from the number of rows.

        An epoch that does not fill its last step is rounded up. The result depends on settings
        and rows alone, so that a resumed run finds the same numbers.
        """
        num_steps = self.num_steps
        if self.num_epochs is not None:
            num_steps = max(math.ceil(self.num_epochs * num_rows / self.rows_per_step), 1)
            num_steps *= self.steps_per_rows
        warmup_steps = self.warmup_steps
        if self.warmup_ratio is not None:
            warmup_steps = round(self.warmup_ratio * num_steps)
        return self.model_copy(update={"num_steps": num_steps, "warmup_steps": warmup_steps})
