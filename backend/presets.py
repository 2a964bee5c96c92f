"""The presets that are shipped: their settings, and what their comments say about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import Field

from backend.history.views import View
from backend.paths import NAMED_FILES
from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, parse_config, parse_yaml, settings_of
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.presets import RECOMMENDED, preset_files, preset_header

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z_]\w*):[^#]*(?:#\s*(?P<comment>.*))?$")


class Preset(View):
    """A preset with its reasons."""

    name: str
    recommended: bool = Field(description="Learned best of those that were compared.")
    title: str = Field(description="The first line of the file's comment.")
    description: str = Field(description="What the file's comment says below its title.")
    comments: dict[str, str] = Field(description="Reasons by dotted key.")
    config: RunConfig = Field(description="Every setting; shipped files as absolute paths.")
    yaml: str = Field(description="The file as it is shipped.")


@cache
def shipped_presets() -> tuple[Preset, ...]:
    """Return every preset: the recommended one, the others by name, those of folders last.

    Raises:
        ConfigError: a shipped file is broken.
    """
    return tuple(_preset(name, file) for name, file in preset_files().items())


def _preset(name: str, file: Path) -> Preset:
    text = file.read_text(encoding="utf-8")
    config = parse_config(parse_yaml(text, file.name), file.name)
    title, description = preset_header(text)
    return Preset(
        name=name,
        recommended=name == RECOMMENDED,
        title=title,
        description=description,
        comments=dict(_comments(text)),
        config=_with_shipped_files(config),
        yaml=text,
    )


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Yield dotted keys with the comment at the end of their line."""
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        indent = len(found["indent"])
        parents = [(depth, key) for depth, key in parents if depth < indent]
        parents.append((indent, found["key"]))
        if found["comment"]:
            yield ".".join(key for _, key in parents), found["comment"].strip()


def _with_shipped_files(config: RunConfig) -> RunConfig:
    """Name shipped data by its place on this machine, whatever the working folder is."""
    block = BLOCK_OF_METHOD[config.method]
    values = settings_of(config).model_dump()
    changes = {
        key: _shipped(values[key]) for key in NAMED_FILES if isinstance(values.get(key), str)
    }
    return parse_config({"method": config.method, block: {**values, **changes}})


def _shipped(name: str) -> str:
    if not name.startswith("data/"):
        return name
    file = shipped_folder("data") / name.removeprefix("data/")
    return str(file) if file.is_file() else name
