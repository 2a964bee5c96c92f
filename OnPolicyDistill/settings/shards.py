"""What a teacher that is cut over ranks cannot serve, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from OnPolicyDistill.settings.problems import Contradiction

if TYPE_CHECKING:
    from OnPolicyDistill.settings.distillation import DistillationSettings


def beyond_shards(settings: DistillationSettings) -> Iterator[Contradiction]:
    """What the settings ask of a teacher in shards that it cannot give."""
    if settings.is_served:
        why = "a served teacher is whole where it is served"
        yield "teacher_shards", f"{why}, so teacher_shards must be 1"
    if settings.teachers:
        why = "several teachers take turns whole"
        yield "teacher_shards", f"{why}, so teacher_shards must be 1"
    if settings.teacher_cache_dir is not None:
        why = "what shards hand over is not kept on disk"
        yield "teacher_cache_dir", f"{why}: leave this empty"
    if settings.teacher_adapter is not None:
        why = "an adapter is not cut with its model"
        yield "teacher_adapter", f"{why}: fuse it first (opd export --fuse), and leave this empty"
    if settings.on_policy_fraction < 1:
        why = "a teacher in shards writes no completions of its own"
        yield "on_policy_fraction", f"{why}, so on_policy_fraction must be 1"
    if not settings.keep_teacher_loaded:
        why = "every rank reads with its shard of the teacher"
        yield "keep_teacher_loaded", f"{why}, so keep_teacher_loaded must be true"
