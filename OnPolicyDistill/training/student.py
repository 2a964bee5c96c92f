"""The student of a run: a policy, what of it learns, and what a checkpoint keeps of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.adapters.files import (
    fill_adapter,
    load_adapter,
    read_adapter_weights,
    save_adapter,
)
from OnPolicyDistill.adapters.lora import AttachedAdapter, attach_adapter
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.models.layout import output_head
from OnPolicyDistill.models.policy import Policy, vocabulary_head
from OnPolicyDistill.models.saving import copy_settings, load_weights, save_weights
from OnPolicyDistill.optim.adamw import create_adamw, load_optimizer, save_optimizer
from OnPolicyDistill.optim.updating import Updater
from OnPolicyDistill.planning.architectures import architecture_problem
from OnPolicyDistill.planning.models import family_targets, read_config
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings


@dataclass(frozen=True, slots=True)
class Student:
    """The policy that learns, its adapter (None where every weight learns), and what moves it.

    `name` is what the config calls its model.
    """

    policy: Policy
    adapter: AttachedAdapter | None
    updater: Updater
    name: str

    @property
    def head(self) -> VocabularyHead:
        """The output head as it is now; where it learns too, read it inside the pass."""
        return output_head(self.policy.model, self.policy.vocab_size)

    def save(self, folder: Path) -> None:
        """Write what learns and the optimizer into a checkpoint's folder.

        Without an adapter the folder is a whole model that can be loaded as it is.
        """
        if self.adapter is None:
            save_weights(folder, self.policy.model)
            copy_settings(self.policy.path, folder)
        else:
            save_adapter(folder, self.policy.model, self.adapter, self.name)
        save_optimizer(folder, self.updater.optimizer)

    def load(self, checkpoint: Path) -> None:
        """Put weights and optimizer back as a checkpoint has them."""
        if self.adapter is None:
            load_weights(checkpoint, self.policy.model)
        else:
            fill_adapter(self.policy.model, read_adapter_weights(checkpoint), checkpoint)
        load_optimizer(checkpoint, self.updater.optimizer)


def student_of(
    policy: Policy, adapter: AttachedAdapter | None, settings: OptimizerSettings, name: str
) -> Student:
    """A student with an optimizer for what of the policy learns by now.

    Recomputes activations where the settings say so.

    Raises:
        ModelError: the architecture does not train, or the losses cannot use the model's output
            head with this adapter.
    """
    problem = architecture_problem(read_config(policy.path), policy.name, ["train"])
    if problem is not None:
        raise problem
    if settings.grad_checkpoint:
        checkpoint_layers(policy.model)
    if adapter is not None:
        vocabulary_head(policy)
    updater = Updater(create_adamw(settings, policy.model), policy.model, settings)
    return Student(policy, adapter, updater, name)


def put_adapter_on(
    policy: Policy,
    settings: DistillationSettings | PromptDistillationSettings | GrpoSettings,
    reporter: Reporter,
) -> tuple[Policy, AttachedAdapter]:
    """Put on the adapter that learns: the one to continue from, or a fresh one.

    Raises:
        ModelError: the losses cannot use the model's logits, or a target cannot be adapted.
    """
    vocabulary_head(policy)
    if settings.student_adapter is not None:
        policy, adapter = load_adapter(policy, Path(settings.student_adapter))
    else:
        adapter = attach_fresh_adapter(policy, settings.lora, settings.seed, reporter)
    return policy, adapter


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
    # New layers drop out until they are told; a resumed run may begin with an evaluation.
    student.model.eval()
    if family is None and not lora.targets:
        reporter.warn(
            "unknown_family",
            f"The registry has no list of LoRA targets for the family of {student.name}: the "
            f"adapter takes every linear layer that may learn: {', '.join(adapter.keys)}.",
            "Name fewer under lora.targets if that is too much.",
        )
    return adapter
