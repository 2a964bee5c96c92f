"""What settings and metrics there are, for forms and charts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, JsonValue

from backend.history.views import View
from backend.routers.dependencies import Here
from OnPolicyDistill.config import (
    RUN_CONFIG,
    RunConfig,
    dump_config,
    parse_config,
    parse_yaml,
)
from OnPolicyDistill.methods import ALL_FACTS, KindFacts
from OnPolicyDistill.runs.metrics import METRICS, Metric

router = APIRouter(tags=["schema"])


MAX_CHARACTERS = 100_000


class ConfigText(View):
    """A config as YAML text."""

    yaml: Annotated[str, Field(max_length=MAX_CHARACTERS)]


class ConfigValues(View):
    """A config as values; defaults may be left out."""

    config: dict[str, JsonValue]


class CheckedConfig(View):
    """A valid config with every setting, and as YAML."""

    config: RunConfig
    yaml: str


@router.get("/schema/config")
def read_config_schema(_backend: Here) -> dict[str, JsonValue]:
    """Return the JSON schema of a run's config, with ranges, defaults and help texts."""
    return RUN_CONFIG.json_schema()


@router.get("/schema/metrics")
def read_metrics(_backend: Here) -> tuple[Metric, ...]:
    """Return every metric: key, title, unit, which way is better, meaning."""
    return tuple(METRICS.values())


@router.get("/schema/methods")
def read_methods(_backend: Here) -> tuple[KindFacts, ...]:
    """Return every method and the evaluation: what it needs, measures and shows."""
    return ALL_FACTS


@router.post("/configs/check")
def check_config(values: ConfigValues) -> CheckedConfig:
    """Check a config; every wrong field is named."""
    config = parse_config(dict(values.config))
    return CheckedConfig(config=config, yaml=dump_config(config))


@router.post("/configs/parse")
def parse_config_text(text: ConfigText) -> CheckedConfig:
    """Read a config from YAML text; every wrong field is named."""
    config = parse_config(parse_yaml(text.yaml, "The text"), "The text")
    return CheckedConfig(config=config, yaml=dump_config(config))
