"""What a run will write: downloads, checkpoints; and whether the disks have room for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE
from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.workload import Workload

# Adapter in float32 with AdamW's two moments.
CHECKPOINT_BYTES_PER_PARAMETER = 12
ROLLOUT_LOG_BYTES = 50_000_000
SPARE_BYTES = 1_000_000_000


class DiskNeeds(BaseModel):
    """Space in GB of 1e9 bytes; downloads go to the hub's cache, the rest to the workspace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    download_gb: float = Field(description="Weights that are not on this machine yet.")
    download_free_gb: float
    run_gb: float = Field(description="Checkpoints, completions and logs of the run.")
    run_free_gb: float

    @property
    def is_enough(self) -> bool:
        """Whether both disks have room, with a little to spare."""
        spare = SPARE_BYTES / 1e9
        has_download = not self.download_gb or self.download_gb + spare < self.download_free_gb
        return has_download and self.run_gb + spare < self.run_free_gb


def disk_needs(work: Workload, workspace: Path, answering: Sequence[ModelFacts] = ()) -> DiskNeeds:
    """Add up what will be downloaded and written, and look at the disks.

    `answering` are models of stages in which they only answer.
    """
    models = [*answering, work.student]
    if work.teacher is not None:
        models.append(work.teacher)
    missing = {facts.name: facts.loaded_bytes for facts in models if facts.source == "registry"}
    # Beside those kept: the best one, the last one off schedule, and one being written.
    copies = work.settings.keep_checkpoints + 3
    checkpoints = copies * work.num_adapter_parameters * CHECKPOINT_BYTES_PER_PARAMETER
    return DiskNeeds(
        download_gb=round(sum(missing.values()) / 1e9, 3),
        download_free_gb=_free_gb(Path(HF_HUB_CACHE)),
        run_gb=round((checkpoints + ROLLOUT_LOG_BYTES) / 1e9, 3),
        run_free_gb=_free_gb(workspace),
    )


def _free_gb(folder: Path) -> float:
    """Free space where a folder is or will be."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return round(shutil.disk_usage(existing).free / 1e9, 3)
