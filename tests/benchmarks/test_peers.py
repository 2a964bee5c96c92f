import subprocess
from pathlib import Path

import mlx.core as mx
import pytest

from benchmarks.peers import environments
from benchmarks.peers.environments import Peer, Unavailable, python_of
from benchmarks.peers.lessons import EMBEDDED, write_lesson
from benchmarks.peers.race import race
from benchmarks.suite import headlines_of, summary_of
from OnPolicyDistill.models.loading import load_policy


def test_a_program_that_cannot_be_installed_is_left_out_with_its_reason_and_ours_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    missing = Peer("none", (str(tmp_path / "no-such-wheel.whl"),), "none.py")
    monkeypatch.setitem(environments.PEERS, "none", missing)
    with pytest.raises(Unavailable, match="could not be installed"):
        python_of(missing)
    lesson = EMBEDDED.model_copy(update={"num_steps": 6, "rows": 8})
    found = race(lesson, ["none"])
    programs, learned, skipped = (
        found[key] for key in ("programs", "held_out_reverse_kl", "skipped")
    )
    assert isinstance(programs, dict)
    assert isinstance(learned, dict)
    assert isinstance(skipped, dict)
    assert list(programs) == ["own"]
    assert 8 <= programs["own"]["tokens_a_step"] <= 8 * lesson.max_tokens
    assert programs["own"]["peak_gb"] > 0.05
    assert learned["own"] < learned["untrained"]
    assert "no-such-wheel" in skipped["none"]
    assert list(headlines_of("peers", {"embedded": found})) == []
    assert summary_of({"peers": {"embedded": found}})["trl_step_ratio"] is None


def test_an_environment_that_is_ready_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_more: pytest.fail("installed again"))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / environments.READY).write_text("a==1\nb==2", encoding="utf-8")
    peer = Peer("made", ("a==1", "b==2"), "none.py")
    assert python_of(peer) == tmp_path / "made" / "bin" / "python"


def test_both_models_of_a_lesson_have_logits_of_one_width(tmp_path: Path) -> None:
    write_lesson(tmp_path / "lesson", EMBEDDED)
    widths = set()
    for side in ("student", "teacher"):
        policy = load_policy(str(tmp_path / "lesson" / side), mixed_precision=False)
        width = policy.model(mx.array([[1, 2]])).shape[-1]
        assert width == policy.vocab_size
        widths.add(width)
    assert len(widths) == 1
