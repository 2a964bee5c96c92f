"""trackio: a database on this machine, or a Space where the settings name one."""

from __future__ import annotations

from collections.abc import Mapping

from OnPolicyDistill.runs.loggers.entries import Opening


class TrackioLogger:
    """A run of the same name as ours, which a resumed run goes on with."""

    def __init__(self, opening: Opening) -> None:
        import trackio  # noqa: PLC0415 - an extra

        self._run = trackio.init(
            project=opening.project,
            name=opening.run_id,
            space_id=opening.space,
            private=None if opening.space is None else True,
            config=dict(opening.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Hand over metrics of a step; trackio keeps its own clock."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Write out what is left; to a Space this waits until it is sent."""
        self._run.finish()
