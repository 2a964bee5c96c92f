from pathlib import Path

import pytest

from tests.cli.conftest import Opd
from tests.grafts import write_language, write_vision


def test_a_graft_is_described_as_json_and_says_who_loads_it(opd: Opd, tmp_path: Path) -> None:
    vision, language = write_vision(tmp_path / "vision"), write_language(tmp_path / "language")
    out = tmp_path / "grafted"
    models = ("--vision", str(vision), "--language", str(language))
    done = opd("graft", *models, "--out", str(out), "--projector", "mlp", "--json")
    assert done.exit_code == 0
    described = done.json()
    assert isinstance(described, dict)
    assert described.pop("num_bytes") > 300_000
    assert described == {
        "path": str(out),
        "projector_kind": "mlp",
        "input_size": 40,
        "output_size": 24,
        "quantized": False,
    }
    assert "vision tower: 0.00 of 0.00 GB" in done.err


def test_a_linear_projector_is_folded(opd: Opd, tmp_path: Path) -> None:
    vision, language = write_vision(tmp_path / "vision"), write_language(tmp_path / "language")
    grafted, folded = tmp_path / "grafted", tmp_path / "folded"
    models = ("--vision", str(vision), "--language", str(language))
    assert "Only this program loads it" in opd("graft", *models, "--out", str(grafted)).err
    done = opd("graft", "--fold", str(grafted), "--out", str(folded), "--json")
    assert done.exit_code == 0
    described = done.json()
    assert isinstance(described, dict)
    assert described["projector_kind"] == "folded"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--vision", "qwen2.5-vl-7b"), "Two models make a graft."),
        (("--fold", "x", "--language", "qwen3-4b"), "A folder is folded as it is."),
    ],
)
def test_half_a_graft_is_refused(arguments: tuple[str, ...], words: str, opd: Opd) -> None:
    refused = opd("graft", *arguments, "--out", "nowhere")
    assert refused.exit_code == 2
    assert words in refused.err
