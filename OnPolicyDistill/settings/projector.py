"""Settings of vision adapter surgery: a projector between a vision tower and a language model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from OnPolicyDistill.settings.sight import MOST_PIXELS, SightSettings
from OnPolicyDistill.settings.training import OptimizerSettings

ProjectorKind = Literal["linear", "mlp"]
ProjectorStart = Literal["default", "matched"]
Targets = Literal["strip", "answer"]


class ProjectorSettings(SightSettings, OptimizerSettings):
    """Only the projector learns, from conversations about pictures whose answers do not think."""

    vision_model: str = Field(
        "qwen2.5-vl-7b",
        min_length=1,
        title="Vision model",
        description="The model whose tower and merger look: a Qwen2.5-VL by alias, hub id or "
        "folder. Nothing else of it is read.",
    )
    language_model: str = Field(
        "qwen3-4b",
        min_length=1,
        title="Language model",
        description="The model that learns to see: a dense Qwen3 whose template can turn thinking "
        "off and on, by alias, hub id or folder.",
    )
    grafted_model: str | None = Field(
        None,
        title="Grafted model",
        description="Folder that `opd graft` wrote, whose projector goes on learning; the two "
        "models, the kind of projector and its start are then those of the folder.",
    )
    projector: ProjectorKind = Field(
        "linear",
        title="Projector",
        description="linear is one matrix, which can be folded into the tower afterwards; mlp is "
        "two with a GELU between them.",
    )
    projector_start: ProjectorStart = Field(
        "default",
        title="Projector starts from",
        description="default leaves the first weights as they are drawn; matched scales them so "
        "that what is said of a picture is as long as the embeddings of words are.",
    )
    conversations: str | None = Field(
        None,
        title="Training conversations",
        description="Training conversations with pictures: JSONL, parquet, or a folder of either; "
        "required to train, not to plan.",
    )
    validation_conversations: str | None = Field(
        None,
        title="Validation conversations",
        description="Held-out conversations with pictures of their own; training without them is "
        "refused.",
    )
    thinking: Targets = Field(
        "strip",
        title="Thinking",
        description="What is learned of an answer: strip takes out what stands between <think> "
        "and </think>, answer keeps the final answer alone (what is in the last \\boxed{}, if "
        "there is one).",
    )
    picture_size: int | None = Field(
        None,
        ge=28,
        le=4096,
        title="Picture size",
        description="Side in pixels: every picture is scaled to about as many pixels as a square "
        "of this side has, its shape kept. Empty leaves each its own size, inside the limits.",
    )
    min_pixels: int = Field(
        3_136,
        ge=784,
        le=MOST_PIXELS,
        title="Fewest pixels",
        description="Pixels that a picture has at least as read.",
    )
    max_pixels: int = Field(
        401_408,
        ge=784,
        le=MOST_PIXELS,
        title="Most pixels",
        description="Pixels that a picture has at most as read; 401,408 are at most 512 tokens.",
    )
    vision_markers: bool = Field(
        True,
        title="Marks around a picture",
        description="Put the tokenizer's own marks of a picture's start and end around its places.",
    )
    max_length: int = Field(
        2048,
        ge=2,
        le=131_072,
        title="Longest conversation",
        description="Longer conversations, pictures included, are left out and counted.",
    )
    eval_conversations: int | None = Field(
        64,
        ge=1,
        title="Conversations per evaluation",
        description="At most this many held-out conversations measure the loss, drawn once by the "
        "seed, evenly over the file; empty means all.",
    )
    thinking_prompts: int = Field(
        24,
        ge=1,
        le=100_000,
        title="Questions for the thinking check",
        description="How many held-out questions are answered at the end, each without and with "
        "thinking, and with the picture of another one.",
    )
    max_thinking_tokens: int = Field(
        1024,
        ge=1,
        le=131_072,
        title="Longest thinking",
        description="Longest answer there, thinking included.",
    )
    batch_size: int = Field(
        1,
        ge=1,
        le=1024,
        title="Batch size",
        description="Rows in one forward and backward pass (a micro-batch).",
    )
    gradient_accumulation_steps: int = Field(
        1,
        ge=1,
        le=1024,
        title="Gradient accumulation",
        description="Micro-batches whose gradients make one optimizer step.",
    )

    @property
    def pixel_limits(self) -> tuple[int, int]:
        """Fewest and most pixels of a picture as it is read."""
        if self.picture_size is not None:
            return self.picture_size**2, self.picture_size**2
        return self.min_pixels, self.max_pixels

    @property
    def sight(self) -> SightSettings:
        """How pictures are read and how many are remembered."""
        smallest, largest = self.pixel_limits
        return SightSettings(
            min_pixels=smallest, max_pixels=largest, picture_cache_mb=self.picture_cache_mb
        )
