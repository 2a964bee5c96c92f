"""Vision adapter surgery from the command line: check, train, export."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Opd
from tests.grafts import write_colours, write_language, write_vision


def test_a_projector_is_trained_and_its_model_taken_away(opd: Opd, tmp_path: Path) -> None:
    vision, language = write_vision(tmp_path / "vision"), write_language(tmp_path / "language")
    training, held = (write_colours(tmp_path, name) for name in ("train", "held"))
    assignments = {
        "vision_model": vision,
        "language_model": language,
        "num_steps": 2,
        "eval_every": 1,
        "max_thinking_tokens": 3,
        "thinking_prompts": 2,
    }
    given = [word for key, value in assignments.items() for word in ("--set", f"{key}={value}")]
    files = ("--prompts", str(training), "--validation", str(held))
    done = opd("train", "vision_surgery/default", *given, *files, "--json")
    assert done.exit_code == 0, done.err
    summary = done.json()
    assert isinstance(summary, dict)
    assert summary["report"]["language_model_unchanged"] == 1
    assert summary["report"]["num_asked"] == 2
    told = (Path(summary["path"]) / "report.txt").read_text(encoding="utf-8")
    assert "Asked at the end: 2 held-out questions" in told
    assert "Held-out loss, another picture" in told
    out = tmp_path / "model"
    refused = opd("export", summary["run_id"], "--as", "gguf", "--out", str(out))
    assert refused.exit_code == 2
    assert "write it as fused" in refused.err
    written = opd("export", summary["run_id"], "--out", str(out), "--json")
    said = written.json()
    assert isinstance(said, dict)
    assert (said["path"], said["form"], said["measured"]) == (str(out), "fused", None)
    assert "grafted" in said["not_measured"]
    picture = next(tmp_path.glob("held-red-*.png"))
    question = ("--image", str(picture), "--prompt", "What?", "--max-tokens", "2", "--json")
    asked = opd("generate", "--model", str(out), *question)
    assert asked.exit_code == 0, asked.err
    directly = opd("generate", "--run", summary["run_id"], *question)
    assert directly.exit_code == 2
    assert "answers only in its grafted model" in directly.err
