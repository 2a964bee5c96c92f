"""What pictures add to a forecast: towers, kept features, and the time of looking at them.

A picture is looked at by each model once, and again only where the features that are kept do not
fit. Every picture is taken to be as large as `max_pixels` allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from OnPolicyDistill.planning.chips import Chip
from OnPolicyDistill.planning.memory import PhaseMemory
from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.time import RunSeconds
from OnPolicyDistill.planning.workload import Workload


def with_pictures(work: Workload, phases: list[PhaseMemory]) -> list[PhaseMemory]:
    """The phases with towers named apart, features that are kept, and the look of the phase."""
    if work.pictures is None:
        return phases
    return [replace(phase, parts=_parts(work, phase)) for phase in phases]


def with_looks(work: Workload, times: RunSeconds, chip: Chip) -> RunSeconds:
    """Times with looking: once a picture in all, or in every step where features do not fit."""
    pictures = work.pictures
    if pictures is None:
        return times
    seconds = [look_seconds(facts, work, chip) for facts in _models(work)]
    seen = min(work.prompts.num_prompts, times.num_steps * work.prompts_per_step)
    if features_fit(work):
        return replace(times, preparing=times.preparing + sum(seconds) * seen)
    rows = work.prompts_per_step
    student, *teacher = seconds
    step = replace(
        times.step,
        sampling=times.step.sampling + rows * student,
        scoring=times.step.scoring + rows * sum(teacher),
    )
    return replace(times, step=step)


def features_fit(work: Workload) -> bool:
    """Whether what the towers saw of all prompts can be kept."""
    pictures = work.pictures
    if pictures is None:
        return True
    return all(_needed_bytes(facts, work) <= pictures.cache_bytes for facts in _models(work))


def look_seconds(facts: ModelFacts, work: Workload, chip: Chip) -> float:
    """Time that one model looks at one picture."""
    vision = facts.dimensions.vision
    if vision is None or work.pictures is None:
        return 0.0
    places = vision.num_places(work.pictures.max_pixels)
    return vision.look_operations(places) / chip.operations_per_second


def _parts(work: Workload, phase: PhaseMemory) -> Mapping[str, int]:
    parts = {**phase.parts}
    towers = look = 0
    for part, facts in _parts_of_models(work):
        # Quantization leaves the tower in 16-bit.
        tower = facts.dimensions.vision_parameters * (4 if facts.dimensions.bits == 32 else 2)
        if parts.get(part, 0) > tower and facts.dimensions.vision is not None:
            parts[part] -= tower
            towers += tower
            assert work.pictures is not None
            places = facts.dimensions.vision.num_places(work.pictures.max_pixels)
            look = max(look, facts.dimensions.vision.look_bytes(places))
    parts["vision_towers"] = towers
    if phase.name != "learning":
        parts["activations"] = max(parts["activations"], look)
    assert work.pictures is not None
    most = work.pictures.cache_bytes
    parts["picture_features"] = sum(min(_needed_bytes(m, work), most) for m in _models(work))
    return parts


def _needed_bytes(facts: ModelFacts, work: Workload) -> int:
    """Features of the pictures of all prompts, held-out ones too, as one model has them."""
    vision = facts.dimensions.vision
    if vision is None or work.pictures is None:
        return 0
    places = vision.num_places(work.pictures.max_pixels)
    each = vision.feature_bytes(places, facts.dimensions.hidden_size)
    return each * (work.prompts.num_prompts + work.num_held_out)


def _models(work: Workload) -> list[ModelFacts]:
    return [work.student] if work.teacher is None else [work.student, work.teacher]


def _parts_of_models(work: Workload) -> list[tuple[str, ModelFacts]]:
    return list(zip(("student", "teacher"), _models(work), strict=False))
