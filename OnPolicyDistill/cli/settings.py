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
    read_yaml,
    settings_of,
    with_overrides,
)
from OnPolicyDistill.errors import ConfigError, InputError
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.methods import FACTS, FILE_KEYS, MODEL_KEYS, RunKind
from OnPolicyDistill.presets import preset_files, propose_preset

# Beside the files of the methods: adapters, and the prompt of an evaluation's variant.
ADAPTER_KEYS = ("student_adapter", "teacher_adapter", "adapter")
PATH_KEYS = (*FILE_KEYS, *ADAPTER_KEYS, "prompt", "grafted_model")


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
    values: dict[str, object] = {"method": method} if file is None else _read(file)
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


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Make paths independent of the working folder, so that a run can be resumed from anywhere.

    A relative path that is not here but among the shipped files, as presets name them, is those.
    """
    block = BLOCK_OF_METHOD[config.method]
    values = _absolute(settings_of(config).model_dump())
    return parse_config({"method": config.method, block: values})


def _read(file: Path) -> dict[str, object]:
    preset = preset_files().get(file.as_posix())
    if preset is None and not file.exists():
        raise ConfigError(f"There is no config file or preset {file}.", propose_preset(str(file)))
    values = read_yaml(file if preset is None or file.exists() else preset)
    if not isinstance(values, dict):
        raise ConfigError(f"{file} is not a mapping of settings.", "Start from a preset.")
    return {str(key): value for key, value in values.items()}


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


def _absolute(values: dict[str, object]) -> dict[str, object]:
    changed = dict(values)
    for key, value in values.items():
        if key == "variants":
            changed[key] = [_absolute(variant) for variant in _mappings(value)]
        if not isinstance(value, str):
            continue
        path = Path(value).expanduser()
        if key in PATH_KEYS and not path.exists() and (shipped := _shipped(path)) is not None:
            changed[key] = str(shipped)
        elif key in PATH_KEYS or (key in MODEL_KEYS and path.is_dir()):
            changed[key] = str(path.resolve())
    return changed


def _mappings(values: object) -> list[dict[str, object]]:
    assert isinstance(values, list | tuple)
    return [dict(value) for value in values]


def _shipped(path: Path) -> Path | None:
    if path.is_absolute() or not path.parts or path.parts[0] != "data":
        return None
    shipped = shipped_folder("data").joinpath(*path.parts[1:])
    return shipped if shipped.exists() else None
