"""The config of a run: one method and its block; YAML, command line, HTTP and form use it.

`RunConfig` is a union discriminated on `method`. A file may leave `method` out when it has exactly
one of the method blocks: `distillation:` means `on_policy`, the others are named like their method.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, assert_never

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from OnPolicyDistill.errors import ConfigError, RunError
from OnPolicyDistill.files import read_plain
from OnPolicyDistill.methods import ALL_FACTS, RUN_KINDS, EveryKind, RunKind, RunSettings
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.problems import nearest, problem_in_words, setting_keys
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.settings.strict import Settings
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings

MAX_CONFIG_BYTES = 200_000
MAX_DEPTH = 32
MAX_NUMBER_CHARACTERS = 100
# A line that opens as many block levels as no config has.
_DEEP = re.compile(r"^[ \t?:-]{32}", re.MULTILINE)
_OPENING = (
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)


class OnPolicyConfig(Settings):
    """A run of on-policy distillation."""

    method: Literal["on_policy"] = "on_policy"
    distillation: DistillationSettings = Field(default_factory=DistillationSettings)


class SftConfig(Settings):
    """A run of supervised fine-tuning."""

    method: Literal["sft"] = "sft"
    sft: SftSettings = Field(default_factory=SftSettings)


class PromptDistillationConfig(Settings):
    """A run of prompt distillation: generate, train, evaluate."""

    method: Literal["prompt_distillation"] = "prompt_distillation"
    prompt_distillation: PromptDistillationSettings = Field(
        default_factory=PromptDistillationSettings
    )


class VlmDistillationConfig(Settings):
    """A run of on-policy distillation of vision-language models."""

    method: Literal["vlm_distillation"] = "vlm_distillation"
    vlm_distillation: VlmDistillationSettings = Field(default_factory=VlmDistillationSettings)


class GrpoConfig(Settings):
    """A run of GRPO: a model learns from rewards."""

    method: Literal["grpo"] = "grpo"
    grpo: GrpoSettings = Field(default_factory=GrpoSettings)


class ProjectorConfig(Settings):
    """A run of vision adapter surgery: a projector learns, then questions are asked."""

    method: Literal["projector"] = "projector"
    projector: ProjectorSettings = Field(default_factory=ProjectorSettings)


class EvaluationConfig(Settings):
    """A run that trains nothing: several variants answer the same labelled items."""

    method: Literal["evaluation"] = "evaluation"
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)


RunConfig = Annotated[
    OnPolicyConfig
    | SftConfig
    | PromptDistillationConfig
    | VlmDistillationConfig
    | GrpoConfig
    | ProjectorConfig
    | EvaluationConfig,
    Field(discriminator="method"),
]
RUN_CONFIG: TypeAdapter[RunConfig] = TypeAdapter(RunConfig)

# The union once more, by method: mypy holds it against the methods that are described.
CONFIGS: EveryKind[type[Settings]] = {
    "on_policy": OnPolicyConfig,
    "sft": SftConfig,
    "prompt_distillation": PromptDistillationConfig,
    "vlm_distillation": VlmDistillationConfig,
    "grpo": GrpoConfig,
    "projector": ProjectorConfig,
    "evaluation": EvaluationConfig,
}
METHOD_OF_BLOCK: dict[str, RunKind] = {facts.block: facts.name for facts in ALL_FACTS}
BLOCK_OF_METHOD: dict[str, str] = {facts.name: facts.block for facts in ALL_FACTS}


def settings_of(config: RunConfig) -> RunSettings:
    """Return the block that belongs to the config's method."""
    match config:
        case OnPolicyConfig():
            return config.distillation
        case SftConfig():
            return config.sft
        case PromptDistillationConfig():
            return config.prompt_distillation
        case VlmDistillationConfig():
            return config.vlm_distillation
        case GrpoConfig():
            return config.grpo
        case ProjectorConfig():
            return config.projector
        case EvaluationConfig():
            return config.evaluation
        case _:
            assert_never(config)


def num_steps_of(config: RunConfig) -> int:
    """How many steps a run takes; 0 where `num_epochs` leaves that to the number of rows.

    An evaluation takes one for each of its variants.
    """
    settings = settings_of(config)
    if isinstance(settings, EvaluationSettings):
        return len(settings.variants)
    return settings.num_steps if settings.num_epochs is None else 0


def parse_config(values: object, source: str = "config") -> RunConfig:
    """Validate plain values; ConfigError names every wrong field as `block.field`."""
    if not isinstance(values, dict):
        raise ConfigError(f"{source} is not a mapping of settings.", "Start from a preset.")
    if "method" not in values:
        blocks = [block for block in METHOD_OF_BLOCK if block in values]
        if len(blocks) != 1:
            raise ConfigError(
                f"{source} names no method and has {len(blocks)} of the blocks "
                f"{', '.join(METHOD_OF_BLOCK)}.",
                _which_block(list(map(str, values))),
            )
        values = {"method": METHOD_OF_BLOCK[blocks[0]], **values}
    try:
        return RUN_CONFIG.validate_python(values)
    except ValidationError as error:
        raise _explain(error, source) from error


def _which_block(given: list[str]) -> str:
    for name in given:
        block = nearest(name, list(METHOD_OF_BLOCK))
        if block not in (None, name):
            return f"Is {name} meant to be {block}?"
    return "Add a line such as `method: on_policy`."


def load_config(path: Path) -> RunConfig:
    """Read a YAML file; relative paths in it stay relative to the working folder."""
    return parse_config(read_yaml(path), str(path))


def read_config(file: Path) -> RunConfig:
    """Read the settings in a folder that may come from elsewhere: a regular file and no other.

    Raises:
        ConfigError: they are missing, damaged, or something else is there.
    """
    try:
        text = read_plain(file, MAX_CONFIG_BYTES).decode("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"There is no {file}.", "Restore it, or delete the run.") from error
    except RunError as error:
        raise ConfigError(error.message, error.action) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text.", "Restore it.") from error
    return parse_config(parse_yaml(text, str(file)), str(file))


def read_yaml(path: Path) -> object:
    """Read a bounded YAML file without aliases; ConfigError names file and line."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(
                f"{path} is larger than {MAX_CONFIG_BYTES // 1000} kB.",
                "A config is a page of settings.",
            )
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ConfigError(f"There is no config file {path}.", "Check the path.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).", "Check it.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error


# libyaml where PyYAML was built with it: a workspace's index reads the settings of every run, and
# seven times as fast.
_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = (
    yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
)


class _UniqueKeysLoader(_Loader):  # type: ignore[misc,valid-type]  # chosen when it is imported
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
        mapping: dict[Hashable, object] = super().construct_mapping(node, deep)
        return mapping


def _refuse_huge(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> object:
    """Make a number of reasonable length: YAML has hexadecimal ones of any, and powers of 60."""
    if len(node.value) > MAX_NUMBER_CHARACTERS:
        raise yaml.constructor.ConstructorError(
            None, None, f"a number of {len(node.value)} characters", node.start_mark
        )
    is_whole = node.tag.endswith(":int")
    return loader.construct_yaml_int(node) if is_whole else loader.construct_yaml_float(node)


for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _UniqueKeysLoader.add_constructor(_tag, _refuse_huge)


def parse_yaml(text: str, source: str) -> object:
    """Parse YAML text; aliases are refused because nested ones expand without bound."""
    try:
        # Scanning takes as long as parsing, and few texts need it.
        if "*" in text or text.count("[") + text.count("{") > MAX_DEPTH or _DEEP.search(text):
            _refuse_traps(text, source)
        return yaml.load(text, Loader=_UniqueKeysLoader)
    except yaml.MarkedYAMLError as error:
        # At the end of a text libyaml stands on a line that is not there.
        last = text.rstrip("\n").count("\n") + 1
        line = 0 if error.problem_mark is None else min(error.problem_mark.line + 1, last)
        raise ConfigError(
            f"{source}, line {line}: this is not valid YAML ({error.problem}).",
            "Check indentation and quotes.",
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # ValueError: PyYAML converts dates and numbers without checking their ranges.
        raise ConfigError(f"{source} is not valid YAML.", "Start from a preset.") from error


def _refuse_traps(text: str, source: str) -> None:
    """Refuse aliases, and depths at which PyYAML's own scanner takes quadratic time."""
    depth = 0
    for token in yaml.scan(text):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AliasToken):
            raise ConfigError(f"{source}, line {line}: aliases are not allowed.", "Repeat it.")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > MAX_DEPTH:
            message = f"{source}, line {line}: this is no valid YAML of a config (too deep)."
            raise ConfigError(message, "Start from a preset.")


def dump_config(config: RunConfig) -> str:
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


@cache
def _known_keys() -> list[str]:
    return [key for kind in RUN_KINDS for key in setting_keys(CONFIGS[kind])]


def _explain(error: ValidationError, source: str) -> ConfigError:
    locations = []
    for problem in error.errors(include_url=False):
        # The first part is the union's tag, which is no field of the file.
        field = ".".join(str(part) for part in problem["loc"][1:]) or "method"
        locations.append((field, problem_in_words(problem, field, _known_keys())))
    if len(locations) == 1:
        (field, message), *_ = locations
        listed = f"a wrong setting: {field}: {message}."
    else:
        lines = (f"\n  {field}: {message}" for field, message in locations)
        listed = f"{len(locations)} wrong settings:{';'.join(lines)}."
    return ConfigError(
        f"{source} has {listed}",
        "Correct it and try again.",
        tuple(locations),
    )
