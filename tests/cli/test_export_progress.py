"""How far an export is, and how long the rest takes, by what the stage at work has shown."""

import pytest

from OnPolicyDistill.cli import export_progress
from OnPolicyDistill.cli.export_progress import StageClock, shown


def test_a_stages_rest_takes_as_long_as_what_is_done_of_it_did() -> None:
    times = iter([10.0, 12.0, 16.0, 16.0, 100.0])
    clock = StageClock(lambda: next(times))
    assert clock.seconds_left("fusing", 0, 4) is None
    assert clock.seconds_left("fusing", 1, 4) == 6.0
    assert clock.seconds_left("fusing", 3, 4) == 2.0
    assert clock.seconds_left("writing", 0, 2) is None
    assert clock.seconds_left("writing", 1, 2) == 84.0


def test_lines_say_how_far_a_long_stage_is_and_when_each_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_progress, "SECONDS_BETWEEN_LINES", 0.0)
    with shown() as tell:
        tell("fusing layers", 0, 2)
        tell("fusing layers", 1, 2)
        tell("fusing layers", 2, 2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fusing layers: 0 of 2"
    assert lines[1].startswith("fusing layers: 1 of 2, ")
    assert lines[1].endswith(" s left")
    assert lines[2] == "fusing layers: done"
