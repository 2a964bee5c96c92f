import json
from pathlib import Path

import pytest

from tests.backend.tiny import write_tiny_adapter, write_tiny_model
from tests.cli.conftest import Opd


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    student = write_tiny_model(root / "student", seed=0)
    write_tiny_adapter(root / "adapter", student)
    lines = [json.dumps({"text": f"text {i}", "label": "ab"[i % 2]}) for i in range(4)]
    (root / "items.jsonl").write_text("\n".join(lines))
    (root / "prompt.txt").write_text("Say a or b.")
    return root


def test_a_model_is_evaluated_saved_and_compared(opd: Opd, models: Path, tmp_path: Path) -> None:
    model, inputs = str(models / "student"), str(models / "items.jsonl")
    asked = ("--model", model, "--inputs", inputs, "--max-answer-tokens", "3", "--labels", "a,b")
    with_prompt = opd(
        "evaluate", *asked, "--prompt", str(models / "prompt.txt"),
        "--out", str(tmp_path / "prompted.json"), "--json",
    )  # fmt: skip
    assert with_prompt.exit_code == 0, with_prompt.err
    report = with_prompt.json()
    assert isinstance(report, dict)
    assert report["labels"] == ["a", "b"]
    assert "4/4" in with_prompt.err
    assert len(json.loads((tmp_path / "prompted.json").read_text())["answers"]["student"]) == 4
    assert (tmp_path / "prompted.png").is_file()

    plain = opd("evaluate", *asked, "--adapter", str(models / "adapter"))
    assert plain.exit_code == 0, plain.err
    assert "gold down, answered across" in plain.out

    compared = opd("compare", str(tmp_path / "prompted.json"), str(report["run_id"]), "--json")
    assert compared.exit_code == 0, compared.err
    (pair,) = json.loads(compared.out)
    assert (pair["num_items"], pair["difference"], pair["better"]) == (4, 0.0, None)

    told = opd("runs", "report", str(report["run_id"]), "--json").json()
    assert isinstance(told, dict)
    assert any(file.endswith("report.png") for file in told["files"])


def test_what_cannot_be_compared_is_refused_in_words(opd: Opd, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    refused = opd("compare", str(tmp_path / "x.json"), str(tmp_path / "x.json"))
    assert refused.exit_code == 2
    assert "is no saved evaluation" in refused.err


def test_an_evaluation_needs_a_model(opd: Opd) -> None:
    refused = opd("evaluate", "--inputs", "nothing.jsonl")
    assert refused.exit_code == 2
    assert "No model is named" in refused.err
