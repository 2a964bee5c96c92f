"""From a config file and options to the settings of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.config import (
    BLOCK_OF_METHOD,
    METHOD_OF_BLOCK,
    RunConfig,
    parse_config,
    parse_yaml,
    with_overrides,
)
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.methods import FACTS, RunKind
from OnPolicyDistill.presets import read_preset, with_absolute_paths


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says beside the config file: options by name, and key=value pairs."""

    options: Mapping[str, str | None]
    assignments: Sequence[str] = ()


def load_settings(file: Path | None, given: Given, method: RunKind = "on_policy") -> RunConfig:
    """Read a config or a preset's name, or start from the method's defaults; apply the options.

    Raises:
        ConfigError: the file or a setting is wrong; every wrong setting is named.
    """
    values: dict[str, object] = {"method": method} if file is None else read_preset(file)
    source = "config" if file is None else str(file)
    block = _block_of(values)
    overrides: dict[str, object] = {}
    for assignment in given.assignments:
        key, value = _parse_assignment(assignment)
        overrides[_qualified(key, block)] = value
    for option, value in given.options.items():
        if value is not None:
            overrides[f"{block}.{_key_of(option, block)}"] = value
    return with_absolute_paths(parse_config(with_overrides(values, overrides), source))


def _block_of(values: Mapping[str, object]) -> str:
    named = BLOCK_OF_METHOD.get(str(values.get("method")))
    return named or next((block for block in METHOD_OF_BLOCK if block in values), "distillation")


def _parse_assignment(assignment: str) -> tuple[str, object]:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise InputError(f"--set {assignment} is no key=value.", "Write --set num_steps=200.")
    return key.strip(), parse_yaml(text, f"--set {key}")


def _qualified(key: str, block: str) -> str:
    """`num_steps` means `distillation.num_steps` in a distillation config.

    So does a setting that is called as a block is, which is never set as a whole.
    """
    first = key.partition(".")[0]
    is_setting = key in FACTS[METHOD_OF_BLOCK[block]].settings.model_fields
    is_whole = first in (*METHOD_OF_BLOCK, "method") and not is_setting
    return key if is_whole else f"{block}.{key}"


def _key_of(option: str, block: str) -> str:
    facts = FACTS[METHOD_OF_BLOCK[block]]
    keys: dict[str, str] = {model.role: model.key for model in facts.models}
    keys |= {file.part: file.key for file in facts.files}
    key = "run_name" if option == "name" else keys.get(option)
    if key is None:
        raise InputError(f"--{option} means nothing for method {block}.", "Leave it out.")
    return key
