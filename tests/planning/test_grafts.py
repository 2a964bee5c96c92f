"""The plan and the check of vision adapter surgery."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OnPolicyDistill.adapters.surgery import graft_models
from OnPolicyDistill.config import ProjectorConfig, load_config
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.grafts import num_projector_weights
from OnPolicyDistill.planning.lengths import count_held_out, measure_prompts
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.workload import PromptFacts, make_workload
from OnPolicyDistill.settings.projector import ProjectorSettings
from tests.grafts import ALWAYS, write_colours, write_language, write_vision

PRESETS = Path(__file__).parents[2] / "configs" / "vision_surgery"
PROMPTS = PromptFacts(10, 100, 100, "")


def config_with(**settings: object) -> ProjectorConfig:
    return ProjectorConfig(projector=ProjectorSettings.model_validate(settings))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "vision_model": str(write_vision(folder / "vision")),
        "language_model": str(write_language(folder / "language")),
        "conversations": str(write_colours(folder, "train", repeats=10)),
        "validation_conversations": str(write_colours(folder, "held", repeats=7)),
    }


def codes(config: ProjectorConfig, workspace: Path) -> set[tuple[str, str]]:
    return {(f.severity, f.code) for f in check_run(config, workspace).findings}


def test_the_surgery_on_qwen3_4b_fits_a_mac_and_names_its_parts() -> None:
    plan = plan_run(load_config(PRESETS / "default.yaml"), 128, "m4-max")
    assert plan.verdict == "fits"
    assert plan.adapter_parameters == 9_175_040
    assert plan.parts["vision_towers"] == pytest.approx(1.35, abs=0.01)
    assert plan.parts["student"] == pytest.approx(8.04, abs=0.02)
    # Weights, gradient, moments and what an update needs beside them, in float32.
    assert plan.parts["lora_and_optimizer"] == pytest.approx(9_175_040 * 24 / 1e9, abs=0.01)
    assert [stage.num_answers for stage in plan.stages] == [4 * 24]


def test_gradients_of_a_projector_pass_through_every_layer() -> None:
    work = make_workload(config_with(), PROMPTS, 0)
    assert work.learned_share == 1
    assert work.planned_adapter is None
    assert work.num_adapter_parameters == 3584 * 2560


def test_two_layers_have_their_biases() -> None:
    settings = config_with(projector="mlp").projector
    assert num_projector_weights(settings) == 3584 * 2560 + 2560 + 2560 * 2560 + 2560


def test_a_grafted_folder_is_planned_by_its_own_files(
    tiny: dict[str, object], tmp_path: Path
) -> None:
    names = str(tiny["vision_model"]), str(tiny["language_model"])
    graft_models(names, tmp_path / "grafted", "mlp", False, 0, lambda *_: None)
    apart = make_workload(config_with(**tiny, projector="mlp"), PROMPTS, 0)
    grafted = make_workload(
        config_with(**tiny, grafted_model=str(tmp_path / "grafted")), PROMPTS, 0
    )
    assert grafted.num_adapter_parameters == apart.num_adapter_parameters == 41 * 24 + 25 * 24
    assert grafted.student.source == apart.student.source == "disk"
    assert grafted.student.loaded_bytes > apart.student.loaded_bytes / 2


def test_pictures_count_among_the_tokens_of_a_conversation(tiny: dict[str, object]) -> None:
    facts = measure_prompts(config_with(**tiny))
    without = measure_prompts(config_with(**tiny, picture_size=28))
    # 56 x 56 pixels are four places, and one where all are scaled to 28 x 28.
    assert facts.longest_tokens - without.longest_tokens == 3
    assert facts.num_prompts == 30
    assert "tokenizer" in facts.source


def test_held_out_conversations_are_read_with_right_and_wrong_pictures(
    tiny: dict[str, object],
) -> None:
    assert count_held_out(config_with(**tiny)) == 2 * 21
    assert count_held_out(config_with(**tiny, eval_conversations=5)) == 2 * 5


def test_nothing_stands_against_a_good_run(tiny: dict[str, object], tmp_path: Path) -> None:
    report = check_run(config_with(**tiny), tmp_path)
    assert report.findings == ()
    assert report.prompts is not None
    assert report.prompts.pictures is not None


def test_a_language_model_that_always_thinks_is_found_before_it_is_downloaded(
    tiny: dict[str, object], tmp_path: Path
) -> None:
    names = {**tiny, "language_model": "qwen3-4b-thinking-2507"}
    assert ("error", "no_switch") in codes(config_with(**names), tmp_path)
    names["language_model"] = "qwen3-4b-instruct-2507"
    assert ("error", "no_switch") in codes(config_with(**names), tmp_path)
    names["language_model"] = str(write_language(tmp_path / "always", ALWAYS))
    assert ("error", "no_switch") in codes(config_with(**names), tmp_path)


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("language_model", "qwen2.5-1.5b"),
        ("language_model", "qwen3-vl-4b-thinking"),
        ("vision_model", "qwen3-vl-4b-thinking"),
        ("vision_model", "qwen3-4b"),
        ("vision_model", "no-such-model"),
    ],
)
def test_a_model_in_the_wrong_place_is_an_error(
    key: str, model: str, tiny: dict[str, object], tmp_path: Path
) -> None:
    assert ("error", "model") in codes(config_with(**{**tiny, key: model}), tmp_path)


def test_conversations_without_a_picture_are_an_error(
    tiny: dict[str, object], tmp_path: Path
) -> None:
    file = tmp_path / "words.jsonl"
    file.write_text(json.dumps({"prompt": "What?", "completion": "That."}) + "\n")
    found = codes(config_with(**{**tiny, "conversations": str(file)}), tmp_path)
    assert ("error", "no_pictures") in found


def test_training_on_what_is_held_out_is_an_error(tiny: dict[str, object], tmp_path: Path) -> None:
    same = {**tiny, "validation_conversations": tiny["conversations"]}
    assert ("error", "leaked") in codes(config_with(**same), tmp_path)
