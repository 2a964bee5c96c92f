"""What a run will write: downloads, checkpoints; and whether the disks have room for it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE
from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.workload import Workload

# Adapter in float32 with AdamW's two moments.
CHECKPOINT_BYTES_PER_PARAMETER = 12
ROLLOUT_LOG_BYTES = 50_000_000
SPARE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """What one disk has to hold, in GB of 1e9 bytes."""

    purpose: str
    needed_gb: float
    free_gb: float

    @property
    def fits(self) -> bool:
        """Whether there is room at all."""
        return self.needed_gb <= self.free_gb

    @property
    def leaves_room(self) -> bool:
        """Whether something is left for whatever else is written meanwhile."""
        return self.needed_gb + SPARE_BYTES / 1e9 <= self.free_gb

    def __str__(self) -> str:
        return f"{in_gb(self.needed_gb)} {self.purpose}, and {in_gb(self.free_gb)} are free"


def in_gb(size: float) -> str:
    """A size in GB as people say it: one decimal where it is 1 or more."""
    return f"{round(size, 1 if size >= 1 else 3):g} GB"


class DiskNeeds(BaseModel):
    """Space in GB of 1e9 bytes; downloads go to the hub's cache, the rest to the workspace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    download_gb: float = Field(description="Weights that are not on this machine yet.")
    download_free_gb: float
    run_gb: float = Field(description="Checkpoints, completions and logs of the run.")
    run_free_gb: float
    is_one_disk: bool = Field(description="Whether both are written to the same disk.")
    teacher_gb: float = Field(0.0, description="The teacher's answers, where they are kept.")
    teacher_free_gb: float = 0.0

    @property
    def needs(self) -> tuple[DiskNeed, ...]:
        """What is written to each disk; nothing at all needs no room."""
        kept: tuple[DiskNeed, ...] = ()
        if self.teacher_gb:
            kept = (DiskNeed("for what the teacher says", self.teacher_gb, self.teacher_free_gb),)
        run = DiskNeed("for checkpoints, completions and logs", self.run_gb, self.run_free_gb)
        if not self.download_gb:
            return (run, *kept)
        if self.is_one_disk:
            both = self.download_gb + self.run_gb
            return (DiskNeed("for downloads and the run", both, self.run_free_gb), *kept)
        return DiskNeed("for downloads", self.download_gb, self.download_free_gb), run, *kept


def disk_needs(work: Workload, workspace: Path, answering: Sequence[ModelFacts] = ()) -> DiskNeeds:
    """Add up what will be downloaded and written, and look at the disks.

    `answering` are models of stages in which they only answer.
    """
    models = [*answering, work.student]
    if work.teacher is not None:
        models.append(work.teacher)
    missing = {facts.name: facts.loaded_bytes for facts in models if facts.source == "registry"}
    # Beside those kept: the best one, the last one off schedule, and one being written.
    cache = Path(HF_HUB_CACHE)
    copies = work.settings.keep_checkpoints + 3
    checkpoints = copies * work.num_adapter_parameters * CHECKPOINT_BYTES_PER_PARAMETER
    return DiskNeeds(
        download_gb=round(sum(missing.values()) / 1e9, 3),
        download_free_gb=_free_gb(cache),
        run_gb=round((checkpoints + ROLLOUT_LOG_BYTES) / 1e9, 3),
        run_free_gb=_free_gb(workspace),
        is_one_disk=_existing(cache).stat().st_dev == _existing(workspace).stat().st_dev,
        teacher_gb=round(teacher_disk_bytes(work) / 1e9, 3),
        teacher_free_gb=_free_for_teacher(work),
    )


def teacher_disk_bytes(work: Workload) -> int:
    """What the folder that keeps the teacher's answers will hold at most, 0 without one.

    Rows that are learned from and rows that evaluations measure, at their longest, and the
    teacher's vocabulary head; never more than the folder's room.
    """
    d = work.distillation
    if d is None or d.teacher_cache_dir is None or work.teacher is None:
        return 0
    width, is_wide = work.teacher.dimensions.hidden_size, work.teacher.dimensions.bits == 32
    exact = (4 if is_wide else 2) * width
    # int8 has a float32 scale for 64 numbers.
    hidden = {"exact": exact, "bfloat16": 2 * width, "int8": width + width // 16}
    measured = hidden[d.teacher_cache_precision]
    learned = work.target_bytes if d.teacher_targets == "top_k" else measured
    num_steps, size = work.settings.num_steps, work.settings.rows_per_step
    rows = num_steps * size
    if work.keeps_rollouts:
        rows = min(work.prompts.num_prompts, rows)
    evaluations = 1 + math.ceil(num_steps / work.settings.eval_every)
    held_out = work.num_held_out * (evaluations if d.keep_teacher_loaded else 1)
    tokens = work.completion_tokens
    needed = tokens * (rows * learned + held_out * measured) + work.teacher.head_bytes
    return min(needed, d.teacher_cache_dir_mb * 1_000_000)


def _free_for_teacher(work: Workload) -> float:
    """Free space where the teacher's answers are kept; 0 where they are not.

    What is there already is a part of what it will be.
    """
    d = work.distillation
    if d is None or d.teacher_cache_dir is None:
        return 0.0
    return _free_gb(Path(d.teacher_cache_dir).expanduser())


def _free_gb(folder: Path) -> float:
    """Free space where a folder is or will be."""
    return round(shutil.disk_usage(_existing(folder)).free / 1e9, 3)


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
