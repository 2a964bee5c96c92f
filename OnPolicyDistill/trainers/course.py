"""Everything of a fine-tuning run that stays the same from its first step to its last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mlx.nn as nn

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.adapters.files import fill_adapter, read_adapter_weights, save_adapter
from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.errors import ConfigError, DatasetError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy, vocabulary_head
from OnPolicyDistill.models.saving import copy_settings, load_weights, save_weights
from OnPolicyDistill.optim.adamw import create_adamw, load_optimizer, save_optimizer
from OnPolicyDistill.optim.updating import Updater
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Reporter, StopRequest
from OnPolicyDistill.settings.sft import SftSettings, Thinking
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings
from OnPolicyDistill.trainers.conversation_rows import ConversationRow, encode_conversation
from OnPolicyDistill.trainers.fresh_adapter import attach_fresh_adapter


@dataclass(frozen=True, slots=True)
class Course:
    """Everything of a fine-tuning run that stays the same; only the arrays change.

    The rows may come from a file or from the run itself. `model` is the name under which the
    config knows the student; `adapter` is None where every weight learns. With `length_buckets`
    rows of similar length share a micro-batch.
    """

    run: RunDirectory
    settings: OptimizerSettings
    model: str
    reporter: Reporter
    stop: StopRequest
    student: Policy
    adapter: AttachedAdapter | None
    rows: tuple[ConversationRow, ...]
    held_out: tuple[ConversationRow, ...]
    updater: Updater
    length_buckets: bool = False

    def save_arrays(self, folder: Path) -> None:
        """Write what learns and the optimizer into a checkpoint's folder.

        Without an adapter the folder is a whole model that can be loaded as it is.
        """
        if self.adapter is None:
            save_weights(folder, self.student.model)
            copy_settings(self.student.path, folder)
        else:
            save_adapter(folder, self.student.model, self.adapter, self.model)
        save_optimizer(folder, self.updater.optimizer)

    def load_arrays(self, checkpoint: Path) -> None:
        """Put weights and optimizer back as a checkpoint has them."""
        if self.adapter is None:
            load_weights(checkpoint, self.student.model)
        else:
            fill_adapter(self.student.model, read_adapter_weights(checkpoint), checkpoint)
        load_optimizer(checkpoint, self.updater.optimizer)


def prepare_course(run: RunDirectory, reporter: Reporter, stop: StopRequest) -> Course:
    """Load the model and the conversations, and choose what learns.

    Raises:
        DistillError: a file or the model cannot be used.
    """
    config = run.config()
    assert isinstance(config, SftConfig)
    settings = config.sft
    reporter.phase("loading", f"Loading the model {settings.model}.")
    student = load_policy(settings.model, settings.mixed_precision)
    rows = _encoded(student, "conversations", settings.conversations, settings, reporter)
    held_out: tuple[ConversationRow, ...] = ()
    if settings.validation_conversations is not None:
        file = settings.validation_conversations
        held_out = _encoded(student, "validation_conversations", file, settings, reporter)
    settings = settings.settled(len(rows))
    steps = f"{len(rows)} rows, {settings.rows_per_step} a step: {settings.num_steps} steps."
    reporter.phase("loading", steps, num_steps=settings.num_steps)
    adapter = choose_what_learns(student, settings.lora, settings.seed, reporter)
    return Course(
        run=run,
        settings=settings,
        model=settings.model,
        reporter=reporter,
        stop=stop,
        student=student,
        adapter=adapter,
        rows=rows,
        held_out=held_out,
        updater=create_updater(student, settings),
        length_buckets=settings.length_buckets,
    )


def create_updater(student: Policy, settings: OptimizerSettings) -> Updater:
    """An optimizer for what learns by now; recomputes activations where the settings say so."""
    if settings.grad_checkpoint:
        checkpoint_layers(student.model)
    return Updater(create_adamw(settings, student.model), student.model, settings)


def choose_what_learns(
    student: Policy, lora: LoraSettings | None, seed: int, reporter: Reporter
) -> AttachedAdapter | None:
    """Attach an adapter to the student, or let every weight learn where `lora` is None.

    Raises:
        ConfigError: every weight should learn, but they are quantized.
    """
    if lora is None:
        if any(isinstance(m, nn.QuantizedLinear) for m in student.model.modules()):
            raise ConfigError(
                f"{student.name} is quantized, and packed weights cannot learn.",
                "Set sft.lora, or use the bf16 form of the model.",
                (("sft.lora", "a quantized model needs an adapter"),),
            )
        student.model.unfreeze()
        return None
    vocabulary_head(student)
    return attach_fresh_adapter(student, lora, seed, reporter)


def _encoded(
    student: Policy, key: str, file: str | None, settings: SftSettings, reporter: Reporter
) -> tuple[ConversationRow, ...]:
    if file is None:
        raise ConfigError(
            f"The config names no {key} file.",
            f"Set sft.{key} to a JSONL file of conversations.",
            ((f"sft.{key}", "a file of conversations is required to train"),),
        )
    return encode_file(student, Path(file), settings.max_length, reporter, settings.thinking)


def encode_file(
    student: Policy, file: Path, limit: int, reporter: Reporter, thinking: Thinking = "keep"
) -> tuple[ConversationRow, ...]:
    """Tokenize a conversation file; rows of more than `limit` tokens are left out and counted.

    Raises:
        DatasetError: a line cannot be read, or every row is too long.
    """
    conversations = load_conversations(file)
    rows = [row for one in conversations for row in encode_conversation(student, one, thinking)]
    short = tuple(row for row in rows if len(row.token_ids) <= limit)
    noun = "conversations" if len(rows) == len(conversations) else "rows"
    if not short:
        raise DatasetError(
            f"all {len(rows)} {noun} are longer than {limit} tokens.",
            "Raise max_length or shorten them.",
            file,
        )
    if len(short) < len(rows):
        reporter.warn(
            "conversations_left_out",
            f"{len(rows) - len(short)} of {len(rows)} {noun} of {file} are longer than "
            f"{limit} tokens and were left out.",
            "Raise max_length to use them.",
        )
    return short
