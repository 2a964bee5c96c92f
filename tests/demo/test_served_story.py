"""The demonstration taught by a served teacher: the figures of the one taught here."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.demo.story import demo_config, finished, numbers, proof_passed
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import RunFinished
from OnPolicyDistill.trainers.on_policy import train
from tests.backend.teaching.process import TOKEN, served

# Requests are batched otherwise than one forward here, and 75 steps magnify what that rounds.
CLOSE_KL, CLOSE_SHARE = 0.02, 0.03


@pytest.mark.demonstration
def test_a_served_teacher_ends_the_demonstration_with_the_figures_of_a_loaded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", TOKEN)

    def ended(changes: dict[str, object]) -> RunFinished:
        run = create_run(tmp_path, demo_config(changes))
        train(run)
        assert proof_passed(run)
        return finished(run)

    with served("tiny-teacher") as url:
        place = {"url": url, "model": "tiny-teacher", "server": "opd", "key_env": "TEACHER_KEY"}
        there = ended({"teacher_endpoint": place})
    here = ended({})
    for moment in ("before", "after"):
        mine, theirs = numbers(here, moment), numbers(there, moment)
        assert theirs.reverse_kl == pytest.approx(mine.reverse_kl, abs=CLOSE_KL)
        assert theirs.agreement == pytest.approx(mine.agreement, abs=CLOSE_SHARE)
        assert theirs.accuracy == pytest.approx(mine.accuracy, abs=CLOSE_SHARE)
    assert numbers(there, "after").reverse_kl < 0.2 * numbers(there, "before").reverse_kl
