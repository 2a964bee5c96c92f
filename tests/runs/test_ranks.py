"""What ranks said of a step is kept for the screen, and who was lost is read from the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import RunState, create_run
from OnPolicyDistill.runs.ranks import (
    FILE,
    RankFate,
    RanksStep,
    RankStep,
    fate_of,
    read_ranks,
    write_ranks,
)

FIRST_LOST = ["rank 1 ended with code 137", "Another rank is gone", "rank 0 ended with code 0"]
BEFORE = ["Run sft_1 in /w/runs/sft_1", "rank 1 ended with code 1", "rank 0 ended with code 0"]


def test_what_was_said_is_read_back_and_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    run = create_run(tmp_path, parse_config({"sft": {"model": "m", "conversations": "c.jsonl"}}))
    assert read_ranks(run) is None
    one = RankStep(
        rank=0, host="mac", num_rows=4, num_tokens=9, seconds=2, waiting_seconds=1, memory_gb=3
    )
    write_ranks(run, RanksStep(step=5, ranks=(one,)))
    assert read_ranks(run) == RanksStep(step=5, ranks=(one,))
    (run.path / FILE).write_text('{"step": 5, "ranks": [{"rank": NaN}]}')
    assert read_ranks(run) is None


@pytest.mark.parametrize(
    ("state", "log", "fates"),
    [
        ("running", [], ("alive", "alive")),
        ("failed", [*BEFORE[:1], *FIRST_LOST], ("ended", "lost")),
        (
            "interrupted",
            ["rank 0 ended with code 137", "rank 1 ended with code 0"],
            ("lost", "ended"),
        ),
        ("finished", ["rank 0 ended with code 0", "rank 1 ended with code 0"], ("ended", "ended")),
        # A run that was resumed lost that one in an earlier session.
        ("failed", [*BEFORE, "Run sft_1 in /w", "no memory"], ("ended", "ended")),
    ],
)
def test_the_first_rank_that_ended_in_the_last_session_is_the_one_that_was_lost(
    state: RunState, log: list[str], fates: tuple[RankFate, RankFate]
) -> None:
    assert (fate_of(0, state, log), fate_of(1, state, log)) == fates
