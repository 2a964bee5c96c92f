"""A demonstration's preset, with its files by their place on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from OnPolicyDistill.config import (
    BLOCK_OF_METHOD,
    RunConfig,
    parse_config,
    read_yaml,
    with_overrides,
)
from OnPolicyDistill.files import shipped_folder

DATA = "data/"
UNCHANGED: Mapping[str, object] = {}


def shipped_preset(preset: str, changes: Mapping[str, object] = UNCHANGED) -> RunConfig:
    """Read a shipped preset; `changes` replace settings of its block.

    Raises:
        ConfigError: a change is no setting, or out of its range.
    """
    values = read_yaml(shipped_folder("configs") / preset)
    assert isinstance(values, dict)
    block = BLOCK_OF_METHOD[values["method"]]
    files = {
        key: str(shipped_folder("data") / value.removeprefix(DATA))
        for key, value in values[block].items()
        if isinstance(value, str) and value.startswith(DATA)
    }
    overrides = {f"{block}.{key}": value for key, value in {**files, **changes}.items()}
    return parse_config(with_overrides(values, overrides), preset)
