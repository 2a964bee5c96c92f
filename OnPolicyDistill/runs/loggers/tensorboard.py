"""TensorBoard's event files, by tensorboardX, which needs no TensorFlow and no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from OnPolicyDistill.runs.loggers.entries import Opening


class TensorBoardLogger:
    """A folder of event files a run; of a resumed run what was undone is hidden."""

    def __init__(self, opening: Opening) -> None:
        from tensorboardX import SummaryWriter  # noqa: PLC0415 - an extra

        folder = Path(opening.folder) / "tensorboard" / opening.run_id
        # A start writes nothing twice, so nothing has to be hidden.
        purged = opening.step + 1 if opening.step else None
        # Files are named by the second: without the process a quick resume would replace one.
        own = f".{os.getpid()}"
        self._writer = SummaryWriter(
            str(folder), purge_step=purged, flush_secs=10, filename_suffix=own
        )

    def log(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, walltime=time)

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()
