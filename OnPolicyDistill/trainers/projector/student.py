"""The grafted model of a run: what of it learns, and what a checkpoint keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import numpy as np

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.adapters.graft_parts import Parts
from OnPolicyDistill.models.grafted import LANGUAGE, TOWER
from OnPolicyDistill.models.parameters import arrays_of
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.projector import Projector, fill_projector, save_projector
from OnPolicyDistill.optim.adamw import create_adamw, load_optimizer, save_optimizer
from OnPolicyDistill.optim.updating import Updater
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.stopping import check_stop

BITS = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32, 8: mx.uint64}


@dataclass(frozen=True, slots=True)
class GraftedStudent:
    """A policy that sees through a projector, which alone learns, and what moves it.

    `parts` are those that it was put together from.
    """

    policy: Policy
    projector: Projector
    parts: Parts
    updater: Updater

    def save(self, folder: Path) -> None:
        """Write projector and optimizer into a checkpoint's folder."""
        names = {"vision_model": self.parts.vision, "language_model": self.parts.language}
        save_projector(folder, self.projector, names)
        save_optimizer(folder, self.updater.optimizer)

    def load(self, checkpoint: Path) -> None:
        """Put projector and optimizer back as a checkpoint has them."""
        fill_projector(self.projector, checkpoint)
        load_optimizer(checkpoint, self.updater.optimizer)

    def frozen_hashes(self) -> dict[str, str]:
        """A hash of every byte of tower and language model as they lie in memory."""
        model = self.policy.model
        return {part: hash_of(arrays_of(model[part])) for part in (TOWER, LANGUAGE)}


def student_of(
    policy: Policy, projector: Projector, parts: Parts, settings: ProjectorSettings
) -> GraftedStudent:
    """A student of which the projector learns; activations are recomputed where settings say so."""
    policy.model.freeze()
    projector.unfreeze()
    if settings.grad_checkpoint:
        checkpoint_layers(policy.model)
    updater = Updater(create_adamw(settings, policy.model), policy.model, settings)
    return GraftedStudent(policy, projector, parts, updater)


def hash_of(arrays: Mapping[str, mx.array]) -> str:
    """A hash of names and bytes, tensor by tensor; 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name, array in arrays.items():
        check_stop()
        digest.update(name.encode())
        digest.update(np.array(array.view(BITS[array.itemsize])).tobytes())
    return digest.hexdigest()
