"""A fresh adapter for a student, on what its family's models adapt."""

from __future__ import annotations

from OnPolicyDistill.adapters.lora import AttachedAdapter, attach_adapter
from OnPolicyDistill.evaluation.heldout import derive_seed
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.planning.models import family_targets
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.training import LoraSettings


def attach_fresh_adapter(
    student: Policy, lora: LoraSettings, seed: int, reporter: Reporter
) -> AttachedAdapter:
    """Attach an adapter as the type in the student's config.json and the settings ask.

    A type that the registry does not know is said, with the layers that were found instead.

    Raises:
        ModelError: a target of the settings cannot be adapted.
    """
    family = family_targets(student.path)
    adapter = attach_adapter(student.model, lora, family, derive_seed(seed, "adapter", 0))
    if family is None and not lora.targets:
        reporter.warn(
            "unknown_family",
            f"The registry has no list of LoRA targets for the family of {student.name}: the "
            f"adapter takes every linear layer that may learn: {', '.join(adapter.keys)}.",
            "Name fewer under lora.targets if that is too much.",
        )
    return adapter
