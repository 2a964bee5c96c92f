"""What a report draws."""

from __future__ import annotations

from OnPolicyDistill.evaluation.plot import PHASE_COLOURS
from OnPolicyDistill.runs.history import PHASE_PARTS, TIME_PARTS


def test_every_part_of_the_time_has_a_colour() -> None:
    assert set(PHASE_COLOURS) == {*TIME_PARTS, *PHASE_PARTS, "other"}
