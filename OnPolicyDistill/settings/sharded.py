"""Whether settings want a teacher in shards, whatever the method."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from OnPolicyDistill.settings.distillation import DistillationSettings

Kind = TypeVar("Kind", bound=BaseModel)


def shards_of(settings: BaseModel) -> int:
    """Over how many ranks the teacher is cut; 1 where it is whole, or there is none."""
    return settings.teacher_shards if isinstance(settings, DistillationSettings) else 1


def in_shards(settings: Kind, num_shards: int) -> Kind:
    """Settings whose teacher is in shards, with another number of them."""
    return settings.model_copy(update={"teacher_shards": num_shards})
