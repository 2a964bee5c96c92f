"""What an export is worth is measured of its files, said wherever they are, and never guessed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlx_lm.utils import load_model, quantize_model, save_config

from backend.command import main
from OnPolicyDistill.adapters import peft
from OnPolicyDistill.models.saving import copy_settings, save_weights
from OnPolicyDistill.registry import find_model

if TYPE_CHECKING:
    from tests.cli.conftest import Opd

FIRST = ("apples", "pears", "plums", "nuts", "figs", "beans", "eggs", "cups")
HELD_OUT = ("grapes", "limes", "dates", "herbs", "pots", "jars", "roots", "seeds")


def conversation(word: str) -> dict[str, object]:
    question = {"role": "user", "content": f"How many {word}?"}
    return {"messages": [question, {"role": "assistant", "content": f"Four {word}."}]}


def write_lines(file: Path, lines: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a 4-bit `model`, a workspace `ws` with a run on it, and `held_out.jsonl`."""
    root = tmp_path_factory.mktemp("packed")
    known = find_model("tiny-teacher")
    assert known is not None
    assert known.folder is not None
    weights, config = load_model(known.folder)
    weights, config = quantize_model(weights, config, 32, 4)
    (root / "model").mkdir()
    save_weights(root / "model", weights)
    save_config(config, root / "model" / "config.json")
    copy_settings(known.folder, root / "model", with_config=False)
    values = {
        "model": str(root / "model"),
        "conversations": str(write_lines(root / "train.jsonl", [*map(conversation, FIRST)])),
        "validation_conversations": str(
            write_lines(root / "held_out.jsonl", [*map(conversation, HELD_OUT)])
        ),
        "num_steps": 12,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "learning_rate": 0.0004,
        "eval_every": 12,
        "checkpoint_every": 12,
        "grad_checkpoint": False,
        "lora": {"rank": 4, "alpha": 8},
        "run_name": "counting",
    }
    (root / "run.yaml").write_text(json.dumps({"method": "sft", "sft": values}), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["train", str(root / "run.yaml"), "--workspace", str(root / "ws")])
    assert ended.value.code == 0
    return root


def run_of(root: Path) -> tuple[str, ...]:
    (run,) = (root / "ws" / "runs").iterdir()
    return (run.name, "--workspace", str(root / "ws"))


def exported(opd: Opd, *arguments: str) -> dict[str, Any]:
    outcome = opd("export", *arguments, "--json")
    assert outcome.exit_code == 0, outcome.err
    said = outcome.json()
    assert isinstance(said, dict)
    return said


def card_of(said: Mapping[str, Any]) -> str:
    return (Path(said["path"]) / "README.md").read_text(encoding="utf-8")


def test_a_lora_fused_back_into_four_bits_loses_most_and_the_command_that_is_named_keeps_it(
    opd: Opd, root: Path, tmp_path: Path
) -> None:
    lost = exported(opd, *run_of(root), "--as", "fused", "--out", str(tmp_path / "a b"))
    of = lost["measured"]
    assert of["is_lossy"]
    assert of["kept_share"]["high"] < 0.6
    assert of["base_loss"]["value"] > of["export_loss"]["low"] > of["adapter_loss"]["high"]
    assert of["kl"]["low"] > 0.01
    assert f"{100 * (1 - of['kept_share']['value']):.1f} % of what the adapter" in lost["warning"]
    assert lost["warning"] in card_of(lost)
    kept = exported(opd, *shlex.split(lost["remedy"])[2:])
    assert kept["path"] == f"{lost['path']}-dequantized"
    assert (kept["warning"], kept["remedy"]) == ("", "")
    assert kept["measured"]["kept_share"]["low"] > 0.99
    assert kept["measured"]["adapter_loss"] == of["adapter_loss"]
    assert "lost" not in card_of(kept)


def test_an_adapters_own_forms_are_what_they_were_made_of(
    opd: Opd, root: Path, tmp_path: Path
) -> None:
    for form in ("adapter", "peft"):
        of = exported(opd, *run_of(root), "--as", form, "--out", str(tmp_path / form))["measured"]
        assert abs(of["kl"]["value"]) < 1e-6
        assert of["export_loss"]["value"] == pytest.approx(of["adapter_loss"]["value"], abs=1e-5)
        assert of["num_prompts"] == len(HELD_OUT)


def test_a_damaged_export_is_measured_as_what_it_is(
    opd: Opd, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter's own figures would have hidden this."""
    forgotten = peft.peft_config

    def halved(*arguments: Any) -> object:
        config = forgotten(*arguments)
        return config.model_copy(update={"lora_alpha": config.lora_alpha / 2})

    monkeypatch.setattr(peft, "peft_config", halved)
    said = exported(opd, *run_of(root), "--as", "peft", "--out", str(tmp_path / "peft"))
    assert said["measured"]["is_lossy"]
    assert said["remedy"] == ""
    assert "gained on held-out prompts" in said["warning"]


def test_text_card_and_json_show_the_same_figures_and_the_card_no_paths(
    opd: Opd, root: Path, tmp_path: Path
) -> None:
    said = exported(opd, *run_of(root), "--as", "fused", "--out", str(tmp_path / "one"))
    text = opd("export", *run_of(root), "--as", "fused", "--out", str(tmp_path / "two"))
    loss = said["measured"]["export_loss"]
    figure = f"{loss['value']:.4f} ({loss['low']:.4f} to {loss['high']:.4f})"
    assert figure in text.out
    assert figure in card_of(said)
    assert "8 conversations of held_out.jsonl" in card_of(said)
    assert "--dequantize --out" in text.err
    assert str(root) not in card_of(said)
    assert str(tmp_path) not in card_of(said)


def test_what_to_type_next_names_the_files_that_are_there(
    opd: Opd, root: Path, tmp_path: Path
) -> None:
    quick = (*run_of(root), "--no-measure")
    fused = exported(opd, *quick, "--as", "fused", "--out", str(tmp_path / "fused ü"))
    programs = {step["program"]: step["commands"] for step in fused["next"]}
    assert [*programs] == ["mlx-lm", "LM Studio"]
    words = shlex.split(programs["mlx-lm"][0])
    assert words[words.index("--model") + 1] == fused["path"]
    assert Path(fused["path"]).is_dir()
    packed = exported(opd, *quick, "--as", "gguf", "--out", str(tmp_path / "Packed"))
    programs = {step["program"]: step["commands"] for step in packed["next"]}
    assert [*programs] == ["LM Studio", "Ollama", "llama.cpp"]
    file = shlex.split(programs["llama.cpp"][0])[-1]
    assert Path(file).is_file()
    assert shlex.split(programs["Ollama"][0])[2] == f"FROM {file}"
    assert "ollama run packed" in programs["Ollama"]
    assert "llama-cli -m Packed/model-f16.gguf" in card_of(packed)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--no-measure",), "It was exported with --no-measure."),
        (("--prompts", "nowhere.jsonl"), "There is no such file."),
        (("--prompts", "one.jsonl"), "needs two to have an interval"),
    ],
)
def test_what_was_not_measured_says_why_and_shows_no_figure(
    opd: Opd,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "one.jsonl", [{"prompt": "How many pots?"}])
    said = exported(opd, *run_of(root), *options, "--out", str(tmp_path / "out"))
    assert said["measured"] is None
    assert reason in said["not_measured"]
    assert f"Not measured: {said['not_measured']}" in card_of(said)
    assert "these files |" not in card_of(said)


def test_the_command_that_is_named_measures_on_the_same_file(
    opd: Opd, root: Path, tmp_path: Path
) -> None:
    (run,) = (root / "ws" / "runs").iterdir()
    adapter = ("--adapter", str(run / "checkpoints" / "best"))
    prompts = ("--prompts", str(root / "held_out.jsonl"))
    lost = opd("fuse", *adapter, *prompts, "--out", str(tmp_path / "lost"), "--json").json()
    assert isinstance(lost, dict)
    kept = exported(opd, *shlex.split(lost["remedy"])[2:])
    assert kept["measured"]["source"] == lost["measured"]["source"]
    assert not kept["measured"]["is_lossy"]


def test_an_adapter_folder_without_a_held_out_file_is_not_measured(
    opd: Opd, root: Path, tmp_path: Path
) -> None:
    (run,) = (root / "ws" / "runs").iterdir()
    adapter = ("--adapter", str(run / "checkpoints" / "best"))
    said = exported(opd, *adapter, "--as", "fused", "--out", str(tmp_path / "none"))
    assert said["measured"] is None
    assert "--prompts FILE" in said["not_measured"]


def test_prompts_with_answers_show_what_became_of_accuracy(
    opd: Opd, root: Path, tmp_path: Path
) -> None:
    lines: list[dict[str, object]] = [
        {"prompt": f"How many {word}?", "answer": f"Four {word}."} for word in (*FIRST, *HELD_OUT)
    ]
    file = write_lines(tmp_path / "labelled.jsonl", lines)
    said = exported(
        opd, *run_of(root), "--as", "fused", "--dequantize", "--prompts", str(file),
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    of = said["measured"]
    assert of["accuracy"]["num_graded"] == len(lines)
    assert of["accuracy"]["export"] == of["accuracy"]["adapter"]
    assert "| Accuracy |" in card_of(said)
    assert of["source"].startswith("completions that the adapter sampled of 16 prompts")
    assert of["base_loss"]["value"] > of["adapter_loss"]["value"]
