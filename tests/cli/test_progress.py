"""Progress on stderr and in log.txt: every line once, frequent ones now and then."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from OnPolicyDistill.cli import progress
from OnPolicyDistill.cli.narrator import Narrator
from OnPolicyDistill.cli.progress import Bar, PlainLines, watched
from OnPolicyDistill.runs.events import EVENT, Event, EventBase, PhaseChanged, StepFinished, Warned
from OnPolicyDistill.runs.pace import Route


def event(what: EventBase) -> Event:
    return EVENT.validate_python(what.model_dump())


def step(number: int) -> Event:
    return event(StepFinished(step=number, metrics={"loss": 0.5}))


WARNING = event(Warned(step=1, code="a", message="Long [answers]."))


def test_plain_lines_show_everything_but_most_steps() -> None:
    lines: list[str] = []
    narrator = Narrator(Route(5))
    view = PlainLines(lines.append, narrator)
    for what in (step(1), step(2), WARNING, step(3), step(4), step(5)):
        view.show(what, narrator.tell(what))
    assert [line.split()[0:2] for line in lines] == [
        ["step", "1/5"],
        ["Warning:", "Long"],
        ["step", "5/5"],
    ]


def test_a_step_is_shown_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    lines: list[str] = []
    view = PlainLines(lines.append, Narrator(Route(9)))
    for number in (1, 2):
        view.show(step(number), f"step {number}")
    assert lines == ["step 1", "step 2"]


def test_a_bar_moves_with_the_steps_and_prints_the_rest_above_it() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120, color_system=None)
    narrator = Narrator(Route(4))
    bar = Bar(console, narrator)
    with bar.progress:
        for what in (step(1), WARNING, step(2)):
            bar.show(what, narrator.tell(what))
    task = bar.progress.tasks[0]
    assert (task.completed, task.total) == (2, 4)
    assert "Warning: Long [answers]." in output.getvalue()
    assert "loss 0.5000" in output.getvalue()
    assert "step 1/4" not in output.getvalue()


def test_a_bar_learns_later_how_many_steps_there_are() -> None:
    narrator = Narrator(Route(0))
    bar = Bar(Console(file=io.StringIO()), narrator)
    said = (PhaseChanged(phase="loading", step=0), step(1))
    totals = []
    for what in (*map(event, said), event(PhaseChanged(phase="loading", step=1, num_steps=7))):
        bar.show(what, narrator.tell(what))
        totals.append(bar.progress.tasks[0].total)
    assert totals == [None, None, 7]
    assert str(narrator.tell(step(2))).startswith("step 2/7  loss 0.5000")


def test_what_is_said_is_kept_in_the_log_with_its_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    log.write_text("before\n", encoding="utf-8")
    with watched(Route(4), log) as observe:
        observe(WARNING)
        observe(step(4))
    assert "Warning: Long [answers].\nstep 4/4" in capsys.readouterr().err
    before, warning, last = log.read_text(encoding="utf-8").splitlines()
    assert before == "before"
    assert warning.endswith("  Warning: Long [answers].")
    assert warning.startswith("20")
    assert "step 4/4" in last


def test_a_log_that_is_stderr_already_gets_each_line_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.txt"
    with log.open("a", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with watched(Route(4), log) as observe:
            observe(WARNING)
    assert log.read_text(encoding="utf-8") == "Warning: Long [answers].\n"


def test_a_run_can_be_watched_without_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with watched(Route(4), None) as observe:
        observe(WARNING)
    assert "Long [answers]" in capsys.readouterr().err
