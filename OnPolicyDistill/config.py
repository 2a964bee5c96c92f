"""Every setting once, with its default and a description; YAML, command line, HTTP and form use it.

`RunConfig` is a union discriminated on `method`. A file may leave `method` out when it has exactly
one of the method blocks (`distillation:` means `on_policy`, `sft:` means `sft`).
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from OnPolicyDistill.errors import ConfigError

MAX_CONFIG_BYTES = 1_000_000

Divergence = Literal["reverse_kl", "forward_kl", "jsd", "sampled_reverse_kl"]
Schedule = Literal["constant", "linear", "cosine"]


class Settings(BaseModel):
    """Frozen, and strict about unknown keys and non-finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LoraSettings(Settings):
    """Low-rank adapter on the student's linear layers."""

    rank: int = Field(16, ge=1, le=1024, description="Rank of the update matrices.")
    alpha: float = Field(
        32.0, gt=0, le=4096, description="Strength: the update is scaled by alpha / rank."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout on the adapter's input; always off in sampling."
    )
    layers: int = Field(
        -1, ge=-1, le=1000, description="How many layers, counted from the last; -1 means all."
    )
    targets: tuple[str, ...] | None = Field(
        None,
        description="Names of linear layers to adapt, such as q_proj; empty takes the family's "
        "list from the model registry. A name that matches nothing is an error.",
    )


class OptimizerSettings(Settings):
    """What every trainer with an optimizer shares: steps, batches, rates, stopping."""

    num_steps: int = Field(1000, ge=1, le=10_000_000, description="Optimizer steps in all.")
    batch_size: int = Field(
        4, ge=1, le=1024, description="Rows in one forward and backward pass (a micro-batch)."
    )
    gradient_accumulation_steps: int = Field(
        2, ge=1, le=1024, description="Micro-batches whose gradients make one optimizer step."
    )
    learning_rate: float = Field(1e-5, gt=0, le=1, description="Peak learning rate of AdamW.")
    schedule: Schedule = Field("constant", description="Shape of the rate after the warm-up.")
    schedule_min_ratio: float = Field(
        0.1, ge=0, le=1, description="Where a decaying schedule ends, as a share of the peak."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the rate rises linearly.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay of AdamW.")
    max_grad_norm: float = Field(
        1.0, ge=0, description="Gradients longer than this are scaled down to it; 0 turns it off."
    )
    grad_checkpoint: bool = Field(
        True,
        description="Recompute activations in the backward pass: far less memory, more time. "
        "Turn it off where the plan says that the run fits without it.",
    )
    mixed_precision: bool = Field(
        True,
        description="Keep weights in the type they are stored in (bf16 on a Mac); off loads "
        "float32. Losses, logprobs and the adapter are float32 either way.",
    )
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(
        3, ge=1, le=1000, description="How many checkpoints stay beside the best one."
    )
    eval_every: int = Field(100, ge=1, description="Steps between evaluations on held-out data.")
    early_stop_patience: int = Field(
        0, ge=0, description="Evaluations without improvement before the run stops; 0 never stops."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Where every random choice starts.")
    run_name: str | None = Field(
        None, max_length=120, description="A name for people; the run's id is made by itself."
    )

    @property
    def rows_per_step(self) -> int:
        """Rows of one optimizer step, over all its micro-batches."""
        return self.batch_size * self.gradient_accumulation_steps


class DistillationSettings(OptimizerSettings):
    """A student samples, a teacher scores, the divergence between them teaches."""

    teacher_model: str = Field(
        "qwen2.5-32b", min_length=1, description="Registry alias, hub id or folder of the teacher."
    )
    student_model: str = Field(
        "qwen2.5-7b", min_length=1, description="Registry alias, hub id or folder of the student."
    )
    student_adapter: str | None = Field(
        None, description="Folder of a LoRA adapter to continue from, for example of an SFT run."
    )
    prompts: str | None = Field(
        None, description="JSONL file of training prompts; required to train, not to plan."
    )
    validation_source: Literal["separate_file"] = Field(
        "separate_file",
        description="Held-out prompts come from a file of their own; nothing is split off.",
    )
    validation_prompts: str | None = Field(
        None, description="JSONL file of held-out prompts; training without one is refused."
    )
    eval_fraction: float = Field(
        1.0, gt=0, le=1, description="Share of the validation file that each evaluation uses."
    )
    eval_prompts: int | None = Field(
        64, ge=1, description="At most this many validation prompts an evaluation; empty means all."
    )
    temperature: float = Field(
        2.0, ge=1.0, le=4.0, description="Softens both distributions in the KL term (1.0 to 4.0)."
    )
    kl_weight: float = Field(0.8, ge=0, le=100, description="Weight of the divergence term.")
    ce_weight: float = Field(
        0.2, ge=0, le=100, description="Weight of the cross-entropy on the teacher's top token."
    )
    divergence: Divergence = Field(
        "reverse_kl",
        description="reverse_kl is KL(student || teacher), forward_kl is KL(teacher || student), "
        "jsd lies between, sampled_reverse_kl is its one-sample policy gradient.",
    )
    teacher_weight: float = Field(
        0.5, gt=0, lt=1, description="Teacher's share of the mixture in the generalized JSD."
    )
    on_policy_fraction: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of completions the student samples; the rest are the teacher's own.",
    )
    fixed_rollouts: bool = Field(
        False,
        description="Sample one completion a prompt once and train on them again each epoch: the "
        "teacher's scores then come from the cache.",
    )
    max_generation_tokens: int = Field(
        512, ge=1, le=131_072, description="Longest completion, in tokens."
    )
    max_prompt_tokens: int = Field(
        2048, ge=1, le=131_072, description="Longer prompts are left out and counted, never cut."
    )
    generation_temperature: float = Field(
        1.0,
        ge=0,
        le=4,
        description="Temperature of rollouts; 1 samples the policy itself.",
    )
    top_p: float = Field(
        1.0, gt=0, le=1, description="Nucleus truncation of rollouts; 1 leaves nothing out."
    )
    logprob_method: Literal["manual_loop"] = Field(
        "manual_loop", description="Rollouts come from our own batched generation loop."
    )
    teacher_targets: Literal["hidden_states", "top_k"] = Field(
        "hidden_states",
        description="What the teacher hands over: final hidden states (exact over the whole "
        "vocabulary) or its k best logprobs and the mass of the rest (compact).",
    )
    top_k: int = Field(64, ge=1, le=4096, description="k of the top_k targets.")
    teacher_cache_size_mb: int = Field(
        4096, ge=0, le=1_000_000, description="Memory for the teacher cache, in MB; 0 turns it off."
    )
    keep_teacher_loaded: bool = Field(
        True,
        description="Off: sample once, score everything into the cache, unload the teacher, train. "
        "Fits Macs where both models do not fit together.",
    )
    lora: LoraSettings = Field(
        default_factory=LoraSettings,
        description="The student's adapter, all that learns.",
    )

    @property
    def samples_policy(self) -> bool:
        """Whether rollouts are drawn from the student's own, untruncated distribution."""
        return self.generation_temperature == 1 and self.top_p == 1

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> DistillationSettings:
        if self.kl_weight == 0 and self.ce_weight == 0:
            raise ValueError("kl_weight and ce_weight are both 0, so nothing would be learned")
        if self.divergence == "sampled_reverse_kl":
            self._refuse_biased_sampling()
        if self.keep_teacher_loaded is False and self.teacher_cache_size_mb == 0:
            raise ValueError(
                "keep_teacher_loaded is off, so teacher_cache_size_mb must leave room for scores"
            )
        return self

    def _refuse_biased_sampling(self) -> None:
        if self.temperature != 1 or self.generation_temperature != 1 or self.top_p != 1:
            raise ValueError(
                "sampled_reverse_kl is unbiased only for the student's own distribution: set "
                "temperature, generation_temperature and top_p to 1"
            )
        if self.on_policy_fraction != 1 or self.fixed_rollouts or not self.keep_teacher_loaded:
            raise ValueError(
                "sampled_reverse_kl needs fresh student samples: set on_policy_fraction to 1, "
                "fixed_rollouts to false and keep_teacher_loaded to true"
            )


class SftSettings(OptimizerSettings):
    """Supervised fine-tuning on given completions; the loss sees the assistant's tokens only."""

    model: str = Field(
        "qwen2.5-1.5b", min_length=1, description="Registry alias, hub id or folder of the model."
    )
    conversations: str | None = Field(
        None, description="JSONL file of training conversations; required to train."
    )
    validation_conversations: str | None = Field(
        None, description="JSONL file of held-out conversations."
    )
    max_length: int = Field(
        2048, ge=2, le=131_072, description="Longer conversations are left out and counted."
    )
    lora: LoraSettings | None = Field(
        default_factory=LoraSettings,
        description="The adapter; empty trains every weight (small models only).",
    )


class OnPolicyConfig(Settings):
    """A run of on-policy distillation."""

    method: Literal["on_policy"] = "on_policy"
    distillation: DistillationSettings = Field(default_factory=DistillationSettings)


class SftConfig(Settings):
    """A run of supervised fine-tuning."""

    method: Literal["sft"] = "sft"
    sft: SftSettings = Field(default_factory=SftSettings)


RunConfig = Annotated[OnPolicyConfig | SftConfig, Field(discriminator="method")]

RUN_CONFIG: TypeAdapter[OnPolicyConfig | SftConfig] = TypeAdapter(RunConfig)


def settings_of(config: OnPolicyConfig | SftConfig) -> DistillationSettings | SftSettings:
    """Return the block that belongs to the config's method."""
    return config.distillation if isinstance(config, OnPolicyConfig) else config.sft


METHOD_OF_BLOCK = {"distillation": "on_policy", "sft": "sft"}


def parse_config(values: object, source: str = "config") -> OnPolicyConfig | SftConfig:
    """Validate plain values; ConfigError names every wrong field as `block.field`."""
    if not isinstance(values, dict):
        raise ConfigError(f"{source} is not a mapping of settings.", "Start from a preset.")
    if "method" not in values:
        blocks = [block for block in METHOD_OF_BLOCK if block in values]
        if len(blocks) != 1:
            raise ConfigError(
                f"{source} names no method and has {len(blocks)} of the blocks "
                f"{', '.join(METHOD_OF_BLOCK)}.",
                "Add a line such as `method: on_policy`.",
            )
        values = {"method": METHOD_OF_BLOCK[blocks[0]], **values}
    try:
        return RUN_CONFIG.validate_python(values)
    except ValidationError as error:
        raise _explain(error, source) from error


def load_config(path: Path) -> OnPolicyConfig | SftConfig:
    """Read a YAML file; relative paths in it stay relative to the working folder."""
    return parse_config(read_yaml(path), str(path))


def read_yaml(path: Path) -> object:
    """Read a bounded YAML file without aliases; ConfigError names file and line."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than 1 MB.", "A config is a page of settings.")
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ConfigError(f"There is no config file {path}.", "Check the path.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).", "Check it.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error


class _UniqueKeysLoader(yaml.SafeLoader):
    """Refuses a key given twice, of which YAML would silently keep the last."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, source: str) -> object:
    """Parse YAML text; aliases are refused because nested ones expand without bound."""
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.AliasToken):
                line = token.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: aliases are not allowed.", "Repeat it.")
        return yaml.load(text, Loader=_UniqueKeysLoader)
    except yaml.MarkedYAMLError as error:
        line = 0 if error.problem_mark is None else error.problem_mark.line + 1
        raise ConfigError(
            f"{source}, line {line}: this is not valid YAML ({error.problem}).",
            "Check indentation and quotes.",
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # ValueError: PyYAML converts dates and numbers without checking their ranges.
        raise ConfigError(f"{source} is not valid YAML.", "Start from a preset.") from error


def dump_config(config: OnPolicyConfig | SftConfig) -> str:
    """Write every setting, defaults included, as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def with_overrides(values: dict[str, object], overrides: dict[str, object]) -> dict[str, object]:
    """Return plain config values with dotted keys replaced (`distillation.lora.rank` -> 8)."""
    result = dict(values)
    for key, value in overrides.items():
        first, _, rest = key.partition(".")
        if not rest:
            result[first] = value
            continue
        inner = result.get(first)
        result[first] = with_overrides(
            dict(inner) if isinstance(inner, dict) else {}, {rest: value}
        )
    return result


def _explain(error: ValidationError, source: str) -> ConfigError:
    locations = []
    for problem in error.errors(include_url=False):
        # The first part is the union's tag, which is no field of the file.
        field = ".".join(str(part) for part in problem["loc"][1:]) or "method"
        message = str(problem["msg"]).removeprefix("Value error, ")
        locations.append((field, message))
    listed = "; ".join(f"{field}: {message}" for field, message in locations)
    return ConfigError(
        f"{source} has {'a wrong setting' if len(locations) == 1 else 'wrong settings'}: {listed}.",
        "Correct it and try again.",
        tuple(locations),
    )
