"""What a run knows about its student, for the card that goes out with it; loads no model."""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.adapters.card import CardFacts, Measurement
from OnPolicyDistill.adapters.forms import inner_paths
from OnPolicyDistill.config import RunConfig, settings_of
from OnPolicyDistill.errors import InputError, ModelError
from OnPolicyDistill.methods import FACTS, models_of
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.targets import LinearMap
from OnPolicyDistill.registry import find_model
from OnPolicyDistill.runs.annotations import read_annotations
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished
from OnPolicyDistill.runs.history import RunHistory, fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.runs.wording import (
    CHOSEN_ON_SAME,
    HEADLINE_METRICS,
    describe_intervals,
    format_interval,
    format_metric,
)
from OnPolicyDistill.settings.sight import SightSettings

ADAPTER_CONFIG = "adapter_config.json"
SHOWN_SETTINGS = ("num_steps", "batch_size", "learning_rate", "temperature", "divergence")


def base_model(config: RunConfig) -> str:
    """Return the model under the adapter that a config trains, as the config names it.

    Raises:
        InputError: the run is an evaluation, which trains nothing.
    """
    student, _ = models_of(settings_of(config))
    if student is None:
        raise InputError("An evaluation trains no adapter.", "Name the run that trained it.")
    return student


def facts_of_run(run: RunDirectory, step: int) -> CardFacts:
    """Gather what a card says about a run's checkpoint of this step.

    Raises:
        RunError: the run's config or log cannot be read.
    """
    config = run.config()
    history = fold(read_events(run.events_file))
    _, teacher = models_of(settings_of(config))
    return CardFacts(
        name=read_annotations(run).name or settings_of(config).run_name or run.run_id,
        base_model=public_name(base_model(config)),
        method=FACTS[config.method].title.lower(),
        teacher=public_name(teacher) if teacher else "",
        run_id=run.run_id,
        settings=_settings(config)
        | describe_adapter(run.checkpoints / f"{step:06d}", base_model(config)),
        measurements=_measurements(history, step),
        caveats=_caveats(history, step),
    )


def describe_adapter(folder: Path, base: str) -> dict[str, str]:
    """Say which layers an adapter is on, and what of a mixture learns; empty without an adapter.

    Raises:
        ModelError: the adapter's config is damaged.
    """
    file = folder / ADAPTER_CONFIG
    if not file.is_file():
        return {}
    parameters = read_json(file).get("lora_parameters")
    keys = parameters.get("keys") if isinstance(parameters, dict) else None
    if not isinstance(keys, list):
        return {"adapted layers": "every linear layer"}
    maps = [LinearMap(path, 0, 0) for path in inner_paths(map(str, keys))]
    facts = {"adapted layers": ", ".join(each.path for each in maps)}
    if any(each.is_expert for each in maps):
        facts["experts"] = "adapted"
    elif _has_experts(base):
        facts["experts"] = "frozen"
    if any(each.is_router for each in maps):
        facts["router"] = "adapted"
    elif "experts" in facts:
        facts["router"] = "frozen"
    return facts


def _has_experts(model: str) -> bool:
    """Whether a model is known or found on this machine to be a mixture."""
    try:
        layers = describe_model(model).layers
    except ModelError:
        return False
    return any(found.is_expert for layer in layers for found in layer)


def _sees(model: str) -> bool:
    """Whether a model is known or found on this machine to read pictures."""
    try:
        return describe_model(model).dimensions.vision is not None
    except ModelError:
        return False


def public_name(model: str) -> str:
    """The hub's name where there is one; of a folder, its last part only."""
    known = find_model(model)
    if known is not None:
        return known.hub_id or known.alias
    return Path(model).name if Path(model).is_dir() else model


def _settings(config: RunConfig) -> dict[str, str]:
    """What matters most and what was changed from the defaults, without this machine's paths."""
    settings = settings_of(config)
    everything = settings.model_dump(mode="json")
    shown = {key: everything[key] for key in SHOWN_SETTINGS if key in everything}
    shown |= settings.model_dump(mode="json", exclude_defaults=True, exclude={"lora"})
    for name, value in (everything.get("lora") or {}).items():
        shown[f"lora.{name}"] = value
    # What it came to is told with the adapter.
    shown.pop("lora.experts", None)
    if isinstance(settings, SightSettings) and _sees(base_model(config)):
        shown |= {key: everything[key] for key in ("min_pixels", "max_pixels")}
    return {key: str(v) for key, v in shown.items() if v is not None and "/" not in str(v)}


def _measurements(history: RunHistory, step: int) -> tuple[Measurement, ...]:
    after = _evaluation_until(history, step)
    return tuple(
        Measurement(METRICS[key].title, _said(history.before, key), _said(after, key))
        for key in HEADLINE_METRICS
        if after is not None and key in after.metrics
    )


def _said(evaluation: EvaluationFinished | None, key: str) -> str:
    """A value with its interval, empty where it was not measured."""
    if evaluation is None or key not in evaluation.metrics:
        return ""
    value = format_metric(key, evaluation.metrics[key])
    interval = evaluation.intervals.get(key)
    return value if interval is None else f"{value} ({format_interval(key, interval)})"


def _caveats(history: RunHistory, step: int) -> str:
    """Over what the intervals are, and whether this checkpoint was chosen by these numbers."""
    after, parts = _evaluation_until(history, step), []
    if after is not None and describe_intervals(after):
        parts.append(f"In brackets: {describe_intervals(after)}")
    if history.best is not None and history.best is after and len(history.evaluations) > 1:
        parts.append(CHOSEN_ON_SAME)
    return " ".join(parts)


def _evaluation_until(history: RunHistory, step: int) -> EvaluationFinished | None:
    until = [evaluation for evaluation in history.evaluations if evaluation.step <= step]
    return until[-1] if until else None
