"""Vision adapter surgery: the tower of one model, the language model of another, one model.

What is new is the projector between them (models/projector.py), which training starts from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np

from OnPolicyDistill.adapters.graft_files import (
    Progress,
    projector_tensors,
    refuse_misfits,
    write_grafted,
)
from OnPolicyDistill.adapters.graft_parts import (
    Parts,
    array_of,
    parts_of_grafted,
    parts_of_models,
)
from OnPolicyDistill.adapters.graft_sources import refuse_without_switch, vision_folder
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.memory import prepare_device
from OnPolicyDistill.methods import RunSettings
from OnPolicyDistill.models.grafted import PROJECTOR, lay_out
from OnPolicyDistill.models.loading import find_folder
from OnPolicyDistill.models.projector import (
    Projector,
    ProjectorKind,
    fill_projector,
    fresh_projector,
    match_embeddings,
)
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.tensor_files import StoredTensor
from OnPolicyDistill.pictures import Picture, Sight
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.projector import ProjectorSettings

NUM_DRAWN, DRAWN_SIDE, NUM_RECTANGLES = 4, 224, 6
# Every so many words tell how long embeddings are.
WORD_STRIDE = 16


def assemble(parts: Parts, projector: Projector, mixed_precision: bool = True) -> SeeingModel:
    """The grafted model of some parts, without a folder: weights are read when evaluated.

    `mixed_precision` keeps the stored types; off casts all that is not packed to float32.

    Raises:
        ModelError: the weights do not fit the settings they came with.
    """
    refuse_misfits(parts, {**parts.tensors, **projector_tensors(projector)})
    model = lay_out(parts.config, parts.sight, parts.tensors)
    opened: dict[Path, dict[str, mx.array]] = {}
    weights = {name: array_of(tensor, opened) for name, tensor in parts.tensors.items()}
    model.load_weights(list(weights.items()), strict=False)
    if not mixed_precision:
        model.set_dtype(mx.float32)
    model.projector = projector
    model.freeze()
    prepare_device(mx.get_active_memory() + sum(array.nbytes for array in weights.values()))
    return model


def graft_models(
    names: tuple[str, str],
    target: Path,
    kind: ProjectorKind,
    matched: bool,
    seed: int,
    progress: Progress,
) -> None:
    """Graft the tower of one model on another, by alias, hub id or folder; the tower's comes first.

    `matched` scales the fresh projector by what the tower says of a few drawn pictures.

    Raises:
        ModelError: a model cannot be found or is not what it is given as.
        InputError: the target exists.
        DiskFullError: the disk has no room for it.
    """
    vision, language = names
    parts = parts_of_models(vision_folder(vision), find_folder(language), names, kind)
    sizes = parts.config.input_size, parts.config.output_size
    projector = fresh_projector(kind, sizes, seed)
    if matched:
        model = assemble(parts, projector)
        match_words(model, projector, drawn_pictures(model.sight, seed))
    write_grafted(parts, projector, target, progress)


def graft_of(settings: ProjectorSettings) -> tuple[Parts, Projector]:
    """The parts of the settings' graft, which read pictures of its limits, and their projector.

    Raises:
        ModelError: a model cannot be found or grafted, or always or never thinks.
    """
    if settings.grafted_model is not None:
        parts, stored = parts_of_grafted(find_folder(settings.grafted_model))
        refuse_without_switch(parts.settings)
        return parts.with_limits(*settings.pixel_limits), projector_of(parts, stored)
    vision, language = vision_folder(settings.vision_model), find_folder(settings.language_model)
    names = (settings.vision_model, settings.language_model)
    parts = parts_of_models(vision, language, names, settings.projector)
    sizes = parts.config.input_size, parts.config.output_size
    seed = derive_seed(settings.seed, "projector", 0)
    projector = fresh_projector(settings.projector, sizes, seed)
    return parts.with_limits(*settings.pixel_limits), projector


def export_grafted(
    settings: RunSettings, checkpoint: Path, target: Path, progress: Progress
) -> Path:
    """Write the grafted model of a run with the projector of one of its checkpoints.

    The folder reads pictures as the run did. `settings` are those of a method that grafts.

    Raises:
        ModelError: the models cannot be found, or the checkpoint has no projector of this kind.
        InputError: the target exists.
        DiskFullError: the disk has no room for it.
    """
    assert isinstance(settings, ProjectorSettings)
    parts, projector = graft_of(settings)
    fill_projector(projector, checkpoint)
    step, run = checkpoint.resolve().name, checkpoint.resolve().parent.parent.name
    training = f"Its projector was trained in the run {run}; this is step {int(step)}."
    write_grafted(replace(parts, training=training), projector, target, progress)
    return target


def match_words(model: SeeingModel, projector: Projector, pictures: Sequence[Picture]) -> float:
    """Scale a fresh projector so that these pictures are as long as words; returns the factor."""
    features = mx.concatenate([model.features(picture)[0] for picture in pictures])
    embed = model.language_model.model.embed_tokens
    num_rows = embed.weight.shape[0]
    return match_embeddings(projector, features, embed(mx.arange(0, num_rows, WORD_STRIDE)))


def drawn_pictures(sight: Sight, seed: int) -> list[Picture]:
    """A few pictures of coloured rectangles, for measuring what a tower's features are like."""
    generator = np.random.default_rng(seed)
    height, width = sight.target_size(DRAWN_SIDE, DRAWN_SIDE)
    pictures = []
    for number in range(NUM_DRAWN):
        pixels = np.full((height, width, 3), 255, np.uint8)
        for _ in range(NUM_RECTANGLES):
            top, left = generator.integers(0, (height - 8, width - 8))
            pixels[top : top + height // 3, left : left + width // 3] = generator.integers(
                0, 256, 3
            )
        digest = f"drawn {seed} {number} {height} {width}"
        places = sight.num_places(height, width)
        pictures.append(Picture(digest, height, width, places, partial(np.copy, pixels)))
    return pictures


def projector_of(parts: Parts, stored: Mapping[str, StoredTensor]) -> Projector:
    """The projector of a grafted folder, ready to learn on.

    Raises:
        ModelError: it was folded.
    """
    kind = parts.config.kind
    if kind == "folded":
        raise ModelError(
            f"The projector in {parts.settings} was folded, and nothing is left to learn.",
            "Use the grafted folder from before.",
        )
    projector = Projector(kind, parts.config.input_size, parts.config.output_size)
    opened: dict[Path, dict[str, mx.array]] = {}
    beginning = f"{PROJECTOR}."
    arrays = [(n.removeprefix(beginning), array_of(each, opened)) for n, each in stored.items()]
    projector.load_weights(arrays)
    return projector
