"""Taking a student away as an adapter or a model, with a card of what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill.adapters.files import save_adapter
from OnPolicyDistill.adapters.lora import attach_adapter
from OnPolicyDistill.config import load_config
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.chosen_folders import ChosenFolders, write_chosen_folders
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import EvaluationFinished
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.settings.training import LoraSettings

if TYPE_CHECKING:
    from tests.cli.conftest import Opd, Outcome


@pytest.fixture
def run(workspace: Path, pair: Path) -> RunDirectory:
    run = create_run(workspace, load_config(pair / "config.yaml"))
    model = load_policy(str(pair / "student")).model
    adapter = attach_adapter(model, LoraSettings(rank=2), ("q_proj",), 0)
    with EventWriter(run.events_file) as writer:
        for step, kl in ((0, 2.0), (5, 0.5), (10, 0.6)):
            writer.write(
                EvaluationFinished(
                    step=step,
                    metrics={"eval_reverse_kl": kl},
                    intervals={"eval_reverse_kl": (kl - 0.125, kl + 0.25)},
                    num_prompts=64,
                    is_best=step == 5,
                )
            )

    def write(folder: Path) -> None:
        save_adapter(folder, model, adapter, str(pair / "student"))

    for step in (5, 10):
        state = TrainingState(step=step, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
        saved = save_checkpoint(run, state, write)
        if step == 5:
            point(run, "best", saved)
    return run


def named(outcome: Outcome) -> dict[str, object]:
    """Where an export says that it is, and as what."""
    said = outcome.json()
    assert isinstance(said, dict)
    return {key: said[key] for key in ("path", "form")}


def test_the_best_adapter_goes_out_with_its_card_and_no_paths(
    opd: Opd, run: RunDirectory, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = opd("export", run.run_id, "--out", str(out))
    assert outcome.exit_code == 0
    assert sorted(file.name for file in out.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapters.safetensors",
    ]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| Reverse KL | 2.0000 (1.8750 to 2.2500) | 0.5000 (0.3750 to 0.7500) |" in card
    assert "In brackets: 95 % intervals over 64 prompts. `best` was chosen on the prompts" in card
    assert "lora.rank: 2" in card
    assert str(tmp_path) not in card


def test_without_a_folder_an_export_goes_where_the_user_has_chosen(
    opd: Opd, run: RunDirectory, workspace: Path, tmp_path: Path
) -> None:
    outcome = opd("export", run.run_id, "--json")
    assert outcome.exit_code == 0, outcome.err
    own = workspace / "exports" / f"{run.run_id}-adapter"
    assert named(outcome) == {"path": str(own.resolve()), "form": "adapter"}
    assert (own / "adapters.safetensors").is_file()
    chosen = tmp_path / "My exports"
    chosen.mkdir()
    write_chosen_folders(workspace, ChosenFolders(exports=str(chosen)))
    for name in (f"{run.run_id}-adapter", f"{run.run_id}-adapter-2"):
        assert opd("export", run.run_id, "--no-measure").exit_code == 0
        assert (chosen / name / "adapters.safetensors").is_file()
    write_chosen_folders(workspace, ChosenFolders(exports=str(tmp_path / "away")))
    refused = opd("export", run.run_id)
    assert refused.exit_code != 0
    assert "is not there" in refused.err


def test_an_adapter_goes_out_in_pefts_form_as_well(
    opd: Opd, run: RunDirectory, tmp_path: Path
) -> None:
    out = tmp_path / "peft"
    outcome = opd("export", run.run_id, "--as", "peft", "--out", str(out), "--json")
    assert named(outcome) == {"path": str(out), "form": "peft"}
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
    # alpha 32 is the default, whatever the rank.
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 2, 32)
    assert str(tmp_path) not in json.dumps(config)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "PeftModel.from_pretrained" in card
    assert str(tmp_path) not in card


def test_an_export_of_another_checkpoint_shows_its_numbers(
    opd: Opd, run: RunDirectory, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert opd("export", run.run_id, "--out", str(out), "--from", "10").exit_code == 0
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| 0.6000 (0.4750 to 0.8500) |" in card
    assert "was chosen on" not in card


def test_any_checkpoint_that_the_run_has_can_go_out_and_no_other(
    opd: Opd, run: RunDirectory, tmp_path: Path
) -> None:
    for name, figure in (("5", "0.5000"), ("000005", "0.5000"), ("last", "0.6000")):
        out = tmp_path / name
        assert opd("export", run.run_id, "--out", str(out), "--from", name).exit_code == 0
        assert f"| {figure} (" in (out / "README.md").read_text(encoding="utf-8")
    for name in ("7", "abc", "-3"):
        refused = opd("export", run.run_id, "--out", str(tmp_path / "no"), f"--from={name}")
        assert refused.exit_code == 2
        assert f"has no checkpoint {name}" in refused.err
    assert not (tmp_path / "no").exists()


def test_a_fused_model_completes_prompts_without_its_adapter(
    opd: Opd, run: RunDirectory, tmp_path: Path
) -> None:
    out = tmp_path / "fused"
    outcome = opd("export", run.run_id, "--as", "fused", "--out", str(out), "--json")
    assert named(outcome) == {"path": str(out), "form": "fused"}
    assert load_policy(str(out)).name == str(out)
    again = opd("export", run.run_id, "--as", "fused", "--out", str(out))
    assert again.exit_code == 2
    assert "exists already" in again.err


def test_an_adapter_folder_is_fused_into_the_model_it_names(
    opd: Opd, run: RunDirectory, tmp_path: Path
) -> None:
    adapter = run.checkpoints / "000005"
    outcome = opd("fuse", "--adapter", str(adapter), "--out", str(tmp_path / "fused"))
    assert outcome.exit_code == 0
    assert (tmp_path / "fused" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export", "--out", "o"], "Nothing to export is named"),
        (["export", "x", "--out", "o", "--group-size", "7"], "no group size 7"),
        (["export", "x", "--out", "o", "--as", "onnx"], "onnx"),
        (["export", "x"], "matches 'x'"),
        (["fuse", "--out", "o"], "No adapter is named"),
    ],
)
def test_what_cannot_be_exported_is_refused(opd: Opd, arguments: list[str], sentence: str) -> None:
    outcome = opd(*arguments)
    assert outcome.exit_code == 2
    assert sentence in outcome.err
