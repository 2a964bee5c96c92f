"""Configs by file or by preset: the shipped ones, and paths that hold from any working folder."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from OnPolicyDistill.config import (
    BLOCK_OF_METHOD,
    RunConfig,
    parse_config,
    read_yaml,
    settings_of,
)
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.methods import FILE_KEYS, MODEL_KEYS

# Beside the files of the methods: adapters, the prompt of an evaluation's variant, a reward's file.
PATH_KEYS = (
    *FILE_KEYS,
    "student_adapter",
    "teacher_adapter",
    "adapter",
    "prompt",
    "grafted_model",
    "file",
    "teacher_cache_dir",
)
# Settings that are lists of settings, which name paths of their own.
LISTED = ("variants", "rewards", "teachers")
# Of the presets that were compared (benchmarks/presets.py, decision 0043) what learned best.
RECOMMENDED = "published_recipe"
QUOTED_NAME = re.compile(r"`([\w./-]+)`")
# What stands among the configs and is none of a run.
NOT_PRESETS, PIPELINES = ("models",), "pipelines"


def preset_files() -> dict[str, Path]:
    """Files of the presets by name (`default`, `grpo/demo`): the recommended, folders' last."""
    folder = shipped_folder("configs")
    beside = sorted(folder.glob("*.yaml"), key=lambda file: (file.stem != RECOMMENDED, file.stem))
    files = beside + sorted(folder.glob("*/*.yaml"), key=_by_number)
    named = {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
    return {
        name: file
        for name, file in named.items()
        if name not in NOT_PRESETS and file.parent.name != PIPELINES
    }


def _by_number(file: Path) -> tuple[str, int, str]:
    """Folder by folder; a Mac with 16 GB stands before one with 128."""
    digits = re.match(r"\d+", file.stem)
    return file.parent.name, int(digits[0]) if digits else 0, file.stem


def preset_header(text: str) -> tuple[str, str]:
    """Title and description: the first paragraph of the comment at the top, and the rest of it.

    A file names other presets as one types them, a description by their titles.
    """
    title, rest = _comment(text)
    files = preset_files()

    def titled(found: re.Match[str]) -> str:
        file = files.get(found[1])
        return found[0] if file is None else f'"{_comment(file.read_text())[0]}"'

    return title, QUOTED_NAME.sub(titled, rest)


def _comment(text: str) -> tuple[str, str]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    title, _, rest = "\n".join(lines).partition("\n\n")
    return title, " ".join(rest.split("\n"))


def propose_preset(name: str) -> str:
    """What to do about a name that is neither a file nor a preset: what is near it, or all."""
    names = list(preset_files())
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    guess = f"Did you mean {near[0]}? " if near else ""
    return f"{guess}Give a file, or one of the presets: {', '.join(names)}."


def read_preset(name: Path) -> dict[str, object]:
    """Read a config file, or a shipped preset where no file is called so, as plain values.

    Raises:
        ConfigError: it is neither, or no YAML of settings.
    """
    values = read_yaml(preset_file(name))
    if not isinstance(values, dict):
        raise ConfigError(f"{name} is not a mapping of settings.", "Start from a preset.")
    return {str(key): value for key, value in values.items()}


def preset_file(name: Path) -> Path:
    """Return the shipped preset of that name where no file is called so, else the file.

    Raises:
        ConfigError: there is neither.
    """
    preset = preset_files().get(name.as_posix())
    if preset is None and not name.exists():
        raise ConfigError(f"There is no config file or preset {name}.", propose_preset(str(name)))
    return name if preset is None or name.exists() else preset


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Make paths independent of the working folder, so that a run can be resumed from anywhere.

    A relative path that is not here but among the shipped files, as presets name them, is those.
    """
    block = BLOCK_OF_METHOD[config.method]
    values = _absolute(settings_of(config).model_dump())
    return parse_config({"method": config.method, block: values})


def _absolute(values: dict[str, object]) -> dict[str, object]:
    changed = dict(values)
    for key, value in values.items():
        if key in LISTED:
            changed[key] = [_absolute(inner) for inner in _mappings(value)]
        elif isinstance(value, str) and (key in PATH_KEYS or key in MODEL_KEYS):
            changed[key] = absolute_path(value, is_model=key not in PATH_KEYS)
    return changed


def absolute_path(text: str, is_model: bool = False) -> str:
    """A path from the root on; a model's name that is no folder here stays a name."""
    path = Path(text).expanduser()
    if not is_model and not path.exists() and (shipped := _shipped(path)) is not None:
        return str(shipped)
    return str(path.resolve()) if not is_model or path.is_dir() else text


def _mappings(values: object) -> list[dict[str, object]]:
    assert isinstance(values, list | tuple)
    return [dict(value) for value in values]


def _shipped(path: Path) -> Path | None:
    if path.is_absolute() or not path.parts or path.parts[0] != "data":
        return None
    shipped = shipped_folder("data").joinpath(*path.parts[1:])
    return shipped if shipped.exists() else None
