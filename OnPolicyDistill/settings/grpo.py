"""Settings of group-relative policy optimization: a model learns from rewards, not a teacher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.strict import Settings
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings

RewardKind = Literal["exact", "label", "boxed", "format_think", "length", "python"]
LossType = Literal["dapo", "grpo", "dr_grpo", "cispo"]
# Those that know right from wrong: the first of a config is what held-out accuracy counts.
GRADING_KINDS: tuple[RewardKind, ...] = ("exact", "label", "boxed", "python")


class RewardSettings(Settings):
    """One way to grade a completion, and how much it counts."""

    kind: RewardKind = Field(
        title="Kind of reward",
        description="exact compares with the prompt's answer; label reads a label from the reply "
        "and compares it; boxed compares what stands in the last \\boxed{}; format_think wants a "
        "thought in <think> and an answer after it; length takes off for long completions; python "
        "asks a function of yours.",
    )
    weight: float = Field(
        1.0, ge=-1000, le=1000, title="Weight", description="The reward is multiplied by this."
    )
    file: str | None = Field(
        None,
        title="Python file",
        description="Of python: a file with a function reward(completion) that returns a number, "
        "or None where it cannot grade. It runs in the process that trains.",
    )
    labels: tuple[str, ...] | None = Field(
        None,
        title="Labels",
        description="Of label: the labels that count; empty takes the prompts' answers.",
    )
    answer_prefix: str = Field(
        "Final Answer:",
        title="Text before the label",
        description="Of label: what stands before the label; without it the whole reply counts.",
    )
    tolerance: float = Field(
        0.0,
        ge=0,
        le=1e9,
        title="Tolerance for numbers",
        description="Of boxed: how far a number may be from the answer.",
    )
    free_tokens: int = Field(
        256,
        ge=0,
        le=131_072,
        title="Tokens without a penalty",
        description="Of length: up to here nothing is taken off.",
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> RewardSettings:
        refuse(self, self._contradictions())
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.kind == "python" and self.file is None:
            yield "file", "a python reward needs the path of its file"
        if self.kind != "python" and self.file is not None:
            yield "file", f"only a python reward has a file, not {self.kind}"
        if self.weight == 0:
            yield "weight", "a reward of weight 0 grades nothing; leave it out"
        if self.labels is not None and not self.labels:
            yield "labels", "names no label; leave it empty to take the prompts' answers"


class GrpoSettings(OptimizerSettings):
    """A model completes each prompt several times; the better completions become likelier."""

    model: str = Field(
        "qwen2.5-1.5b",
        min_length=1,
        title="Model",
        description="Registry alias, hub id or folder of the model.",
    )
    student_adapter: str | None = Field(
        None,
        title="Adapter to go on from",
        description="Folder of a LoRA adapter to continue from, for example of an SFT run.",
    )
    prompts: str | None = Field(
        None,
        title="Training prompts",
        description="JSONL file of training prompts with answers; required to train.",
    )
    validation_prompts: str | None = Field(
        None,
        title="Validation prompts",
        description="JSONL file of held-out prompts; training without one is refused.",
    )
    eval_fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Share kept for validation",
        description="Share of the validation file that evaluations use, drawn once by the seed, "
        "evenly over the file.",
    )
    eval_prompts: int | None = Field(
        200,
        ge=1,
        title="Prompts per evaluation",
        description="At most this many validation prompts, drawn once by the seed, evenly over the "
        "file; empty means all.",
    )
    rewards: tuple[RewardSettings, ...] = Field(
        (RewardSettings(kind="exact"),),
        max_length=8,
        title="Rewards",
        description="What completions are graded by; their weighted sum is the reward.",
    )
    num_completions: int = Field(
        8,
        ge=2,
        le=256,
        title="Completions per prompt",
        description="Completions of each prompt: the size of a group.",
    )
    loss_type: LossType = Field(
        "dapo",
        title="Form of the loss",
        description="What is averaged: dapo all tokens of the step, grpo each completion by "
        "itself, dr_grpo over the longest completion that is allowed. cispo averages as dapo does "
        "and bounds a token's weight instead of clipping it.",
    )
    importance_sampling_level: Literal["token", "sequence"] = Field(
        "token",
        title="Importance weights",
        description="Whether probability ratios are taken of tokens or whole completions.",
    )
    scale_rewards: Literal["group", "batch", "none"] = Field(
        "group",
        title="Scaling of rewards",
        description="What a reward's distance from its group's mean is divided by: the group's "
        "spread, the whole step's, or nothing.",
    )
    epsilon: float = Field(
        0.2, gt=0, lt=1, title="Clip below", description="How far below 1 a ratio still counts."
    )
    epsilon_high: float | None = Field(
        None,
        gt=0,
        le=100,
        title="Clip above",
        description="How far above 1 a ratio still counts; empty is epsilon. For cispo the largest "
        "weight of a token itself, such as 5.",
    )
    delta: float | None = Field(
        None,
        gt=1,
        le=1000,
        title="Upper limit of the ratio",
        description="Bound on ratios where the advantage is negative; empty is none.",
    )
    beta: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Weight of the KL penalty",
        description="Weight of the KL to the reference; 0 needs no reference.",
    )
    reference: Literal["base", "start"] = Field(
        "base",
        title="Reference model",
        description="What the KL is measured to: the model with its adapter off, or with the "
        "adapter it starts from.",
    )
    num_iterations: int = Field(
        1,
        ge=1,
        le=64,
        title="Updates per batch of completions",
        description="Optimizer updates on the same completions; above 1 the old logprobs are "
        "scored by the same forward pass first.",
    )
    mask_truncated: bool = Field(
        False,
        title="Leave out cut completions",
        description="Leave completions out of the loss that were cut at their longest.",
    )
    skip_dead_groups: bool = Field(
        True,
        title="Skip groups without a difference",
        description="Leave groups out of the forward pass whose rewards are all equal, where beta "
        "is 0; they have no gradient.",
    )
    shuffle_rewards: bool = Field(
        False,
        title="Shuffle the rewards (control)",
        description="A control: the rewards of each group are dealt out to its completions at "
        "random. What such a run gains has nothing to do with rewards.",
    )
    max_resamples: int = Field(
        0,
        ge=0,
        le=64,
        title="Most resamplings",
        description="How often dead groups of a step are replaced by those of other prompts.",
    )
    temperature: float = Field(
        1.0,
        gt=0,
        le=4,
        title="Sampling temperature",
        description="Of the completions; logprobs are those of the distribution that was sampled.",
    )
    max_generation_tokens: int = Field(
        512,
        ge=1,
        le=131_072,
        title="Longest completion",
        description="Longest completion, in tokens.",
    )
    max_prompt_tokens: int = Field(
        2048,
        ge=1,
        le=131_072,
        title="Longest prompt",
        description="Longer prompts are left out and counted, never cut.",
    )
    batch_size: int = Field(
        1,
        ge=1,
        le=1024,
        title="Batch size",
        description="Prompts in one forward and backward pass (a micro-batch), each with all its "
        "completions.",
    )
    gradient_accumulation_steps: int = Field(
        8,
        ge=1,
        le=1024,
        title="Gradient accumulation",
        description="Micro-batches whose gradients make one optimizer step.",
    )
    lora: LoraSettings = Field(
        default_factory=LoraSettings,
        title="LoRA adapter",
        description="The student's adapter, all that learns.",
    )

    @property
    def completions_per_step(self) -> int:
        """Rollouts of one step, over all its groups."""
        return self.rows_per_step * self.num_completions

    @property
    def grading_kind(self) -> RewardKind:
        """The reward by which a held-out completion is right or wrong."""
        return next(reward.kind for reward in self.rewards if reward.kind in GRADING_KINDS)

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> GrpoSettings:
        refuse(self, self._contradictions())
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from self._useless_rewards()
        if self.loss_type == "cispo" and self.epsilon_high is None:
            yield "epsilon_high", "cispo needs the largest weight of a token, such as 5"
        if self.loss_type == "cispo" and self.delta is not None:
            yield "delta", "cispo clips nothing, so delta means nothing: leave it empty"
        if self.reference == "start" and self.beta == 0:
            yield "reference", "without beta there is no reference: raise beta or leave it at base"

    def _useless_rewards(self) -> Iterator[Contradiction]:
        kinds = [reward.kind for reward in self.rewards]
        if not any(kind in GRADING_KINDS for kind in kinds):
            yield (
                "rewards",
                f"no reward knows right from wrong: add one of {', '.join(GRADING_KINDS)}",
            )
        for place, kind in enumerate(kinds):
            if kind in kinds[:place]:
                yield f"rewards.{place}.kind", f"{kind} stands there twice; one of them is enough"
        for place, reward in enumerate(self.rewards):
            if reward.kind == "length" and reward.free_tokens >= self.max_generation_tokens:
                yield (
                    f"rewards.{place}.free_tokens",
                    "no completion is longer than max_generation_tokens, so nothing would be "
                    "taken off",
                )
