"""`opd teacher score`: a run finds on disk what was scored ahead, and loads no teacher."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from OnPolicyDistill.config import load_config
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.planning.scored import note_scored
from OnPolicyDistill.runs.events import Event
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.trainers.on_policy import prepare
from OnPolicyDistill.training.ahead import place_ahead, score_run_ahead


class Outcome(Protocol):
    exit_code: int
    out: str
    err: str

    def json(self) -> object: ...


Opd = Callable[..., Outcome]


def said(outcome: Outcome) -> dict[str, object]:
    told = outcome.json()
    assert isinstance(told, dict)
    return told


def adapter(trained: Outcome) -> bytes:
    return (Path(str(said(trained)["adapter_path"])) / "adapters.safetensors").read_bytes()


@pytest.fixture
def config(pair: Path, tmp_path: Path) -> Path:
    """A run whose teacher leaves before it learns, and whose answers are kept."""
    values = json.loads((pair / "config.yaml").read_text())
    values["distillation"] |= {
        "teacher_cache_dir": str(tmp_path / "kept"),
        "keep_teacher_loaded": False,
        "num_steps": 8,
        "eval_every": 8,
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(values))
    return file


def test_a_run_that_was_scored_ahead_loads_no_teacher_and_learns_the_same(
    opd: Opd, config: Path, tmp_path: Path
) -> None:
    scored = opd("teacher", "score", str(config), "--json")
    assert scored.exit_code == 0
    assert "Loading the teacher" in scored.err
    assert "Scores for the cache." in scored.err
    made = said(scored)
    assert (made["num_found"], made["error"]) == (0, None)
    planned = [opd("plan", str(config), "--set", s, "--json").json() for s in ("seed=0", "seed=1")]
    assumed = [" ".join(plan["assumptions"]) for plan in planned if isinstance(plan, dict)]
    assert ["Scored ahead" in words for words in assumed] == [True, False]
    ahead = opd("train", str(config), "--json")
    alone = opd("train", str(config), "--set", f"teacher_cache_dir={tmp_path / 'else'}", "--json")
    assert "Loading the teacher" not in ahead.err
    assert "Loading the teacher" in alone.err
    assert adapter(ahead) == adapter(alone)
    again = said(opd("teacher", "score", str(config), "--json"))
    assert (again["num_found"], again["num_made"]) == (made["num_made"], 0)
    assert not (tmp_path / "kept" / "ahead").is_dir() or not [*(tmp_path / "kept/ahead").iterdir()]


def test_prompts_that_changed_since_they_were_scored_are_not_planned_as_scored(
    opd: Opd, config: Path, tmp_path: Path
) -> None:
    values = json.loads(config.read_text())
    text = Path(values["distillation"]["prompts"]).read_text()
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(text)
    values["distillation"]["prompts"] = str(prompts)
    config.write_text(json.dumps(values))

    def assumptions() -> str:
        plan = opd("plan", str(config), "--json").json()
        assert isinstance(plan, dict)
        return " ".join(plan["assumptions"])

    note_scored(load_config(config))
    assert "Scored ahead" in assumptions()
    prompts.write_text(text + json.dumps({"prompt": "another one"}) + "\n")
    assert "Scored ahead" not in assumptions()
    prompts.write_text(text)
    assert "Scored ahead" in assumptions()


def test_scoring_that_is_stopped_goes_on_where_it_stood(config: Path) -> None:
    settings, stop = load_config(config), StopRequest()
    place, seen = place_ahead(settings), []

    def stop_soon(event: Event) -> None:
        seen.append(event.kind == "phase_changed" and event.phase == "scoring")
        stop.is_set = sum(seen) >= 1

    with pytest.raises(StoppedError):
        score_run_ahead(place, prepare, stop_soon, stop)
    done = score_run_ahead(place, prepare, lambda _: None, StopRequest())
    assert done.num_found > 0
    assert done.num_made > 0
    whole = score_run_ahead(place, prepare, lambda _: None, StopRequest())
    assert (whole.num_found, whole.num_made) == (done.num_found + done.num_made, 0)


def test_scoring_says_what_int8_costs(opd: Opd, config: Path) -> None:
    scored = opd("teacher", "score", str(config), "--set", "teacher_cache_precision=int8")
    assert scored.exit_code == 0
    assert "Keeping them so costs" in scored.out


def test_scoring_without_a_folder_is_refused_in_words(opd: Opd, pair: Path) -> None:
    refused = opd("teacher", "score", str(pair / "config.yaml"))
    assert refused.exit_code == 2
    assert "Set distillation.teacher_cache_dir to a folder." in refused.err


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("sft/tiny_qwen2", "has no teacher, so there is nothing to score ahead. To learn a teach"),
        ("grpo/demo", "has no teacher, so there is nothing to score ahead."),
        ("prompt_distillation/demo", "keeps nothing of what its teacher says for other runs."),
        ("vlm_distillation/demo", "keeps nothing of what its teacher says for other runs."),
        ("vision_surgery/demo", "has no teacher, so there is nothing to score ahead."),
    ],
)
def test_a_method_that_keeps_no_scores_is_refused_with_what_can_be_done(
    opd: Opd, preset: str, words: str
) -> None:
    refused = opd("teacher", "score", preset)
    assert refused.exit_code == 2
    assert words in " ".join(refused.err.split())
    assert "distillation.teacher_cache_dir" not in refused.err


def test_answers_to_the_prompts_of_a_fine_tuning_file_are_written_and_scored_ahead(
    opd: Opd, config: Path, tmp_path: Path
) -> None:
    """What the refusal of fine-tuning advises: its run then never has the teacher in memory."""
    values = json.loads(config.read_text())
    texts = Path(values["distillation"]["prompts"]).read_text().splitlines()
    pairs = tmp_path / "pairs.jsonl"
    lines = [{"prompt": json.loads(text)["prompt"], "completion": "so"} for text in texts]
    pairs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    values["distillation"] |= {"prompts": str(pairs), "on_policy_fraction": 0.0}
    config.write_text(json.dumps(values))
    assert opd("teacher", "score", str(config)).exit_code == 0
    first, second = (opd("train", str(config), "--json") for _ in range(2))
    alone = opd("train", str(config), "--set", f"teacher_cache_dir={tmp_path / 'else'}", "--json")
    assert "Loading the teacher" not in first.err + second.err
    assert "Loading the teacher" in alone.err
    assert adapter(first) == adapter(second) == adapter(alone)
