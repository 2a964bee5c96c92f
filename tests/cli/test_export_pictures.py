"""Taking a student away that sees: every form through the command, and what its card says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
import pytest
from PIL import Image

from tests.cli.test_generate_pictures import ASKED, completions, run_with_adapter
from tests.seeing_models import write_seeing_model

if TYPE_CHECKING:
    from tests.cli.conftest import Opd

WEIGHTS_FILE = "model.safetensors"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("seen")
    write_seeing_model(root / "student", "qwen3_vl")
    write_seeing_model(root / "teacher", "qwen3_vl", seed=1)
    Image.new("RGB", (64, 64), (30, 30, 200)).save(root / "blue.png")
    return root


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_an_adapter_and_a_fused_model_say_what_the_run_said_of_a_picture(
    opd: Opd, root: Path, workspace: Path, tmp_path: Path
) -> None:
    run_id, _ = run_with_adapter(root, workspace, min_pixels=1024, max_pixels=102_400)
    shown = ("--image", str(root / "blue.png"), *ASKED, "Which?")
    (said,) = completions(opd("generate", "--run", run_id, *shown))
    student = str(root / "student")
    adapter, fused, again = (tmp_path / name for name in ("adapter", "fused", "again"))
    assert opd("export", run_id, "--out", str(adapter)).exit_code == 0
    assert opd("export", run_id, "--as", "fused", "--out", str(fused)).exit_code == 0
    folded = opd("fuse", "--model", student, "--adapter", str(adapter), "--out", str(again))
    assert folded.exit_code == 0, folded.err
    for options in (("--model", student, "--adapter", str(adapter)), ("--model", str(fused))):
        (repeated,) = completions(opd("generate", *options, *shown))
        assert repeated["text"] == said["text"]
    assert (fused / WEIGHTS_FILE).read_bytes() == (again / WEIGHTS_FILE).read_bytes()
    for folder, how in (
        (adapter, "mlx_vlm.generate --model PATH/TO/student --adapter-path adapter --image"),
        (fused, "mlx_vlm.generate --model fused --image"),
        (again, "mlx_vlm.generate --model again --image"),
    ):
        card = card_of(folder)
        assert how in card
        assert "pipeline_tag: image-text-to-text" in card
        assert "base_model: student" in card
        assert str(root) not in card
    assert "- max_pixels: 102400" in card_of(fused)


def test_a_quantized_student_still_sees(
    opd: Opd, root: Path, workspace: Path, tmp_path: Path
) -> None:
    run_id, _ = run_with_adapter(root, workspace)
    out = tmp_path / "packed"
    packed = opd("export", run_id, "--as", "quantized", "--group-size", "32", "--out", str(out))
    assert packed.exit_code == 0, packed.err
    weights = mx.load(str(out / WEIGHTS_FILE))
    assert isinstance(weights, dict)
    assert any(name.endswith("q_proj.scales") for name in weights)
    assert not any("vision_tower" in name and name.endswith("scales") for name in weights)
    shown = ("--image", str(root / "blue.png"), "--max-tokens", "2", "--json", "--prompt", "a")
    (answer,) = completions(opd("generate", "--model", str(out), *shown))
    assert answer["num_picture_tokens"] == 4
    assert "mlx_vlm.generate --model packed --image PICTURE" in card_of(out)


@pytest.mark.parametrize(("form", "most"), [("adapter", 1e-6), ("fused", 1e-5)])
def test_a_student_that_sees_is_measured_on_held_out_pictures(
    opd: Opd, root: Path, workspace: Path, tmp_path: Path, form: str, most: float
) -> None:
    run_id, _ = run_with_adapter(root, workspace)
    lines = [
        {"prompt": f"<image> {word}", "images": [str(root / "blue.png")], "answer": word}
        for word in ("a", "b", "c")
    ]
    file = tmp_path / "held_out.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    given = ("--prompts", str(file), "--out", str(tmp_path / "out"), "--json")
    done = opd("export", run_id, "--as", form, *given)
    assert done.exit_code == 0, done.err
    said = done.json()
    assert isinstance(said, dict)
    assert said["not_measured"] == ""
    assert said["measured"]["num_prompts"] == 3
    assert abs(said["measured"]["kl"]["value"]) < most


@pytest.mark.parametrize("form", ["peft", "gguf"])
def test_a_form_that_is_not_possible_is_refused_and_leaves_nothing(
    opd: Opd, root: Path, workspace: Path, tmp_path: Path, form: str
) -> None:
    run_id, _ = run_with_adapter(root, workspace)
    outcome = opd("export", run_id, "--as", form, "--out", str(tmp_path / "out"))
    assert outcome.exit_code == 2
    assert "fused" in outcome.err
    assert not (tmp_path / "out").exists()
