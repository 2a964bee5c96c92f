"""What a check and a plan make of pictures in a run's files, before any model is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from OnPolicyDistill.config import RunConfig, parse_config
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.lengths import count_held_out, measure_prompts
from OnPolicyDistill.planning.sight import common_sight, own_limits
from OnPolicyDistill.settings.sight import SightSettings
from tests.backend.tiny import write_jsonl, write_tiny_model
from tests.seeing_models import write_seeing_model

PLACES = 65_536 // 32**2  # small pictures are enlarged to min_pixels


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, and files of every kind with a picture in each line."""
    root = tmp_path_factory.mktemp("sights")
    write_seeing_model(root / "seeing", "qwen3_vl")
    write_tiny_model(root / "words")
    (root / "prompt.txt").write_text("Say a or b.")
    for number in range(4):
        Image.new("RGB", (64, 64), (60 * number, 0, 0)).save(root / f"{number}.png")
    shown = [{"images": [f"{number}.png"]} for number in range(4)]
    for name, lines in {"train": shown[:2], "held_out": shown[2:]}.items():
        write_jsonl(root / f"{name}-prompts.jsonl", [{"prompt": "Which?", **one} for one in lines])
        said = {"prompt": "Which?", "completion": "a"}
        write_jsonl(root / f"{name}-conversations.jsonl", [{**said, **one} for one in lines])
        asked = {"text": "Which?", "label": "a"}
        write_jsonl(root / f"{name}-inputs.jsonl", [{**asked, **one} for one in lines])
    return root


def config_of(root: Path, block: str, model: str, other: str | None = None) -> RunConfig:
    name = str(root / model)
    pair = {"student_model": name, "teacher_model": str(root / (other or model))}

    def files(key: str, kind: str) -> dict[str, str]:
        train, held_out = (str(root / f"{side}-{kind}.jsonl") for side in ("train", "held_out"))
        return {key: train, f"validation_{key}": held_out}

    values: dict[str, dict[str, object]] = {
        "vlm_distillation": {**pair, **files("prompts", "prompts")},
        "sft": {"model": name, **files("conversations", "conversations")},
        "prompt_distillation": {
            **pair,
            **files("inputs", "inputs"),
            "teacher_prompt": str(root / "prompt.txt"),
        },
        "evaluation": {
            "variants": [{"name": "v", "model": name}],
            "inputs": str(root / "train-inputs.jsonl"),
        },
    }
    return parse_config({block: values[block]})


BLOCKS = ("vlm_distillation", "sft", "prompt_distillation", "evaluation")


@pytest.mark.parametrize("block", BLOCKS)
def test_pictures_are_counted_where_all_models_of_the_run_see(
    root: Path, tmp_path: Path, block: str
) -> None:
    config = config_of(root, block, "seeing")
    report = check_run(config, tmp_path)
    unread = [found for found in report.findings if "picture" in found.message]
    assert not unread, unread
    facts = measure_prompts(config)
    assert facts.num_prompts == 2
    assert facts.typical_tokens > PLACES
    assert count_held_out(config) == (0 if block == "evaluation" else 2)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block != "vlm_distillation"])
def test_pictures_are_refused_by_their_line_where_a_model_reads_words_alone(
    root: Path, tmp_path: Path, block: str
) -> None:
    config = config_of(root, block, "words")
    assert "unread_picture" in {found.code for found in check_run(config, tmp_path).findings}
    with pytest.raises(DatasetError, match=r"line 1: The line has a picture"):
        measure_prompts(config)


def test_one_blind_model_of_a_pair_is_enough_to_refuse(root: Path, tmp_path: Path) -> None:
    config = config_of(root, "prompt_distillation", "seeing", "words")
    assert "unread_picture" in {found.code for found in check_run(config, tmp_path).findings}


def test_a_model_reads_as_its_folder_says_and_no_larger_than_runs_do(root: Path) -> None:
    own = own_limits(str(root / "seeing"))
    assert (own.min_pixels, own.max_pixels) == (4 * 16**2, 400 * 16**2)
    published = own_limits("qwen3-vl-4b-thinking")
    assert (published.min_pixels, published.max_pixels) == (65_536, 1_048_576)
    assert own_limits(str(root / "words")) == SightSettings()
    folder = root / "odd"
    write_seeing_model(folder, "qwen2_5_vl")
    for edges, limits in (
        ((1, 100_000_000), (784, 1_048_576)),
        ((2_000_000, 3_000_000), (2_000_000, 2_000_000)),
    ):
        size = {"shortest_edge": edges[0], "longest_edge": edges[1]}
        (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}))
        own = own_limits(str(folder))
        assert (own.min_pixels, own.max_pixels) == limits


def test_a_model_that_is_not_here_sees_as_the_registry_says() -> None:
    limits = SightSettings(min_pixels=784, max_pixels=50_176)
    older = common_sight(["qwen2.5-vl-7b"], limits)
    assert older is not None
    assert (older.patch, older.merge, older.max_pixels) == (14, 2, 50_176)
    newer = common_sight(["qwen3-vl-4b-thinking", "qwen2.5-vl-7b"], limits)
    assert newer is not None
    assert newer.patch == 16
    assert common_sight(["qwen3-vl-4b-thinking", "qwen2.5-1.5b"], limits) is None
    assert common_sight(["no/such-model"], limits) is None


def test_free_answers_are_warned_of_unless_they_are_graded_by_their_box(
    root: Path, tmp_path: Path
) -> None:
    codes = []
    for grader in ({}, {"grader": "boxed"}):
        lines = [{"text": f"{n}?", "label": str(n), **grader} for n in range(40)]
        file = write_jsonl(tmp_path / "free.jsonl", lines)
        variants = [{"name": "v", "model": str(root / "words")}]
        config = parse_config({"evaluation": {"variants": variants, "inputs": str(file)}})
        codes.append({found.code for found in check_run(config, tmp_path).findings})
    assert "free_answers" in codes[0]
    assert "free_answers" not in codes[1]
