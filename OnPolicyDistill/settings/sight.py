"""How large pictures are read, and how much memory their features may take."""

from __future__ import annotations

from pydantic import Field, model_validator

from OnPolicyDistill.settings.problems import refuse
from OnPolicyDistill.settings.strict import Settings

# 2048 x 2048 places of 32 pixels are far beyond what any tower was trained on.
MOST_PIXELS = 67_108_864
# One place of the smaller kind, 28 x 28.
LEAST_PIXELS = 784


class SightSettings(Settings):
    """Limits for pictures; every picture is resized to lie between them."""

    min_pixels: int = Field(
        65_536,
        ge=LEAST_PIXELS,
        le=MOST_PIXELS,
        title="Fewest pixels",
        description="Pixels that a picture has at least as read.",
    )
    max_pixels: int = Field(
        1_048_576,
        ge=LEAST_PIXELS,
        le=MOST_PIXELS,
        title="Most pixels",
        description="Pixels that a picture has at most as read: 1,048,576 are 1,024 tokens of "
        "Qwen3-VL and 1,337 of Qwen2.5-VL.",
    )
    picture_cache_mb: int = Field(
        2048,
        ge=0,
        le=1_000_000,
        title="Picture cache",
        description="Memory for the features of pictures that were looked at, for each model: a "
        "picture that is still there is not looked at again. 0 keeps none.",
    )

    @model_validator(mode="after")
    def _refuse_crossed_limits(self) -> SightSettings:
        crossed = self.min_pixels > self.max_pixels
        refuse(self, [("min_pixels", "must be at most max_pixels")] if crossed else [])
        return self


def sight_of(settings: Settings) -> SightSettings | None:
    """How large a run reads pictures; None where its method reads words alone."""
    return settings if isinstance(settings, SightSettings) else None
