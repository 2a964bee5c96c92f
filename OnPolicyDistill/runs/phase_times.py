"""How long a run was in each phase that its log names, by the clock of its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import get_args

from OnPolicyDistill.faces import Phase

_PHASES = frozenset(get_args(Phase))
# These end what a phase said: what follows is the next step, or is said by another phase.
_ENDS = frozenset(
    (
        "run_started",
        "run_resumed",
        "self_test_finished",
        "step_finished",
        "evaluation_finished",
        "checkpoint_saved",
    )
)


@dataclass(slots=True)
class PhaseTimes:
    """Seconds by phase, pauses left out; steps measure their own time and are in none."""

    seconds: dict[str, float] = field(default_factory=dict)
    phase: str = ""
    time: float | None = None

    def take(self, kind: str, time: float, phase: str, begins_session: bool) -> None:
        """Take the next event; `phase` is what a `phase_changed` says."""
        if self.time is not None and self.phase and not begins_session:
            spent = max(time - self.time, 0.0)
            self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + spent
        self.time = time
        if kind == "phase_changed":
            self.phase = phase if phase in _PHASES else ""
        elif begins_session or kind in _ENDS:
            self.phase = ""

    def copy(self) -> PhaseTimes:
        """Return one that goes on by itself."""
        return replace(self, seconds=dict(self.seconds))
