"""YAML from outside: refused before parsing where parsing it would take long."""

from __future__ import annotations

import yaml

from OnPolicyDistill.errors import ConfigError

MAX_DEPTH = 32
MAX_CHARACTERS = 100_000
_OPENING = (
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)


def check_yaml(text: str) -> None:
    """Refuse deep nesting, on which PyYAML's scanner takes quadratic time.

    Raises:
        ConfigError: it nests deeper than MAX_DEPTH; other faults are left to the parser.
    """
    depth = 0
    try:
        for token in yaml.scan(text):
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > MAX_DEPTH:
                raise ConfigError(
                    f"The text nests deeper than {MAX_DEPTH} levels.", "Start from a preset."
                )
    except (yaml.YAMLError, ValueError):
        return
