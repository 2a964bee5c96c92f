"""Every architecture that mlx-lm has is listed with what it can do here, or why it cannot."""

import re
from importlib.metadata import version
from pathlib import Path

import mlx_lm.models
import pytest
from mlx_lm.utils import MODEL_REMAPPING

from OnPolicyDistill.planning.architectures import (
    ARCHITECTURES,
    MLX_LM,
    REMAPPED,
    architecture_problem,
    sampling_reason,
    training_reason,
)
from OnPolicyDistill.registry import all_models

ASKED_FOR = """
qwen2 qwen3 qwen3_moe qwen3_next qwen3_5 qwen3_5_moe llama mistral ministral3 gemma gemma2
gemma3_text gemma4_text gpt_oss olmo2 olmo3 cohere2 granite granitemoehybrid lfm2 lfm2_moe falcon_h1
nemotron_h mamba2 glm4 glm4_moe phi3 phimoe smollm3 mixtral deepseek_v3 exaone4 hunyuan_v1_dense
ernie4_5
"""


def modules() -> set[str]:
    """The modules of mlx-lm that define a model, or take one from another module."""
    (folder,) = map(Path, mlx_lm.models.__path__)
    defines = re.compile(r"^class Model\(|^from \..*\bimport\b.*\bModel\b|^Model = ", re.MULTILINE)
    return {file.stem for file in folder.glob("*.py") if defines.search(file.read_text())}


def test_every_module_of_mlx_lm_and_every_other_name_for_one_is_listed() -> None:
    ours = {"grafted_qwen3"}
    assert set(ARCHITECTURES) - ours == modules() | set(MODEL_REMAPPING)
    assert REMAPPED == MODEL_REMAPPING
    assert version("mlx-lm") == MLX_LM


@pytest.mark.parametrize("model_type", ASKED_FOR.split())
def test_what_people_run_trains_and_samples(model_type: str) -> None:
    assert training_reason(model_type) is None
    assert sampling_reason(model_type) is None


def test_whatever_does_not_train_or_sample_has_a_reason_with_its_source() -> None:
    for found in ARCHITECTURES.values():
        assert (found.reason is None) == (found.train and found.sample)
        assert found.reason is None or f"/v{MLX_LM}/mlx_lm/models/" in found.reason


def test_every_model_of_the_registry_trains() -> None:
    assert {
        model.name: training_reason(str(model.config["model_type"])) for model in all_models()
    } == {model.name: None for model in all_models()}


def test_an_architecture_that_mlx_lm_has_not_is_refused_in_words() -> None:
    problem = architecture_problem({"model_type": "gigamodel"}, "mine", ["train"])
    assert problem is not None
    assert "gigamodel, which cannot be trained here: mlx-lm" in problem.message
    assert architecture_problem({"model_type": "qwen3"}, "mine", ["train", "sample"]) is None
    nameless = architecture_problem({}, "mine")
    assert nameless is not None
    assert "without a name, which can neither answer nor grade" in nameless.message


def test_a_model_that_reads_otherwise_than_it_writes_learns_from_given_completions_alone() -> None:
    config = {"model_type": "gemma3n"}
    assert architecture_problem(config, "mine") is None
    assert architecture_problem(config, "mine", ["train"]) is None
    problem = architecture_problem(config, "mine", ["train", "sample"])
    assert problem is not None
    assert (
        "cannot learn from its own completions: mlx-lm computes keys of its own" in problem.message
    )
