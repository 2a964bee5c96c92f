"""Adapters on models that see: what learns, what mlx-vlm and mlx-lm load, what fusing leaves."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
import numpy as np
import pytest

from OnPolicyDistill.adapters.card import CardFacts
from OnPolicyDistill.adapters.checkpointing import checkpoint_layers, num_recomputed
from OnPolicyDistill.adapters.export import ExportRequest, export_adapter, export_model
from OnPolicyDistill.adapters.facts import describe_adapter
from OnPolicyDistill.adapters.files import load_adapter, save_adapter
from OnPolicyDistill.adapters.fuse import fuse
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter, linear_maps
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.patches import patches_of
from OnPolicyDistill.models.policy import Policy, hidden_states
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.planning.dimensions import decoder_layers, parse_dimensions
from OnPolicyDistill.registry import lora_targets
from OnPolicyDistill.settings.training import LoraSettings
from tests.seeing_models import (
    FAMILIES,
    REFERENCE_SIZES,
    a_picture,
    reference_rows,
    tiny_config,
    write_seeing_model,
)

WORDS = mx.array([[1, 2, 3, 4, 5, 6]])
FACTS = CardFacts(name="tiny", base_model="tiny", method="test")


def ignore(_what: str, _done: int, _total: int) -> None:
    pass


def eyes(policy: Policy) -> SeeingModel:
    assert isinstance(policy.model, SeeingModel)
    return policy.model


def picture_row(policy: Policy) -> mx.array:
    picture = a_picture(eyes(policy).sight, *REFERENCE_SIZES[0], seed=0)
    ids = list(eyes(policy).book.ids_of(picture))
    return mx.array(reference_rows(tiny_config("qwen3_vl"), [ids, []])[:1])


@dataclass(frozen=True)
class Trained:
    """A policy with an adapter that has learned something, and its files."""

    policy: Policy
    base: Path
    adapter: Path
    fused: Path


def trained(place: Path, family: str, **settings: object) -> Trained:
    base = write_seeing_model(place / "base", family)
    policy = load_policy(str(base))
    lora = LoraSettings.model_validate({"rank": 4, **settings})
    attached = attach_adapter(policy.model, lora, lora_targets(family), seed=3)
    for number, layer in enumerate(adapter_layers(policy.model).values()):
        layer.lora_b = mx.random.normal(layer.lora_b.shape, scale=0.05, key=mx.random.key(number))
    adapter, fused = place / "adapter", place / "fused"
    adapter.mkdir()
    fused.mkdir()
    save_adapter(adapter, policy.model, attached, "tiny")
    fuse(policy, fused, False, ignore)
    return Trained(policy, base, adapter, fused)


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    return {family: trained(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_goes_on_the_words_side_alone_and_never_on_a_router(
    family: str, students: dict[str, Trained], tmp_path: Path
) -> None:
    policy = students[family].policy
    learning = set(flat_arrays(policy.model.trainable_parameters()))
    assert learning
    assert all(name.startswith("language_model.model.layers.") for name in learning)
    assert not any(".gate." in name or ".switch_mlp." in name for name in learning)
    if family == "qwen3_vl_moe":
        whole = trained(tmp_path, family, experts=True).policy
        learning = set(flat_arrays(whole.model.trainable_parameters()))
        assert any(".switch_mlp.down_proj.lora_a" in name for name in learning)
        assert not any(".gate." in name for name in learning)


@pytest.mark.parametrize("family", FAMILIES)
def test_recomputed_layers_give_the_gradients_of_layers_that_are_kept(
    family: str, tmp_path: Path
) -> None:
    model = trained(tmp_path, family).policy.model
    policy = load_policy(str(tmp_path / "base"))
    row = picture_row(policy)
    eyes_of = model
    assert isinstance(eyes_of, SeeingModel)
    eyes_of.book = eyes(policy).book

    def loss(model: nn.Module) -> mx.array:
        return mx.square(hidden_states(model, row)[0, -1]).sum()

    gradients = nn.value_and_grad(model, loss)
    value, kept = gradients(model)
    assert checkpoint_layers(model) == 3
    again, recomputed = gradients(model)
    mx.eval(again, recomputed)
    assert num_recomputed(model) == 3
    assert as_float(again) == pytest.approx(as_float(value), rel=1e-6)
    wanted = flat_arrays(kept)
    for name, gradient in flat_arrays(recomputed).items():
        assert mx.allclose(gradient, wanted[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_adapter_is_read_by_us_and_by_mlx_lm_where_it_knows_the_words(
    family: str, students: dict[str, Trained]
) -> None:
    student = students[family]
    again, _ = load_adapter(load_policy(str(student.base)), student.adapter)
    assert mx.array_equal(again.model(WORDS), student.policy.model(WORDS))
    if family != "qwen2_5_vl":
        model, _ = mlx_lm.load(str(student.base), adapter_path=str(student.adapter))
        assert mx.allclose(model(WORDS), student.policy.model(WORDS), atol=1e-4)


def test_mlx_vlm_loads_adapters_and_fused_folders_with_the_same_logits(
    students: dict[str, Trained], tmp_path: Path
) -> None:
    """In a process of its own, whose transformers mlx-vlm has changed as it does for its users."""
    asked = {}
    for family, student in students.items():
        policy = student.policy
        sight = eyes(policy).sight
        picture = a_picture(sight, *REFERENCE_SIZES[0], seed=0)
        pad = int(str(tiny_config(family)["image_token_id"]))
        row = reference_rows(tiny_config(family), [[pad] * picture.num_places, []])[0]
        np.savez(
            tmp_path / f"{family}.npz",
            patches=patches_of(picture.pixels(), sight),
            row=np.array([row]),
            words=np.array(policy.model(WORDS)),
            seen=np.array(policy.model(picture_row(policy))),
        )
        asked[family] = [str(student.base), str(student.adapter), str(student.fused)]
    script = Path(__file__).with_name("read_by_mlx_vlm.py")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(asked), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout.splitlines()[-1])
    assert errors.keys() == asked.keys()
    for family, (adapted, fused, seen) in errors.items():
        assert max(adapted, fused) < 1e-5, family
        # mlx-vlm swaps two activations of the mixture's tower, and loses words behind a picture
        # of Qwen2.5-VL, so that pictures are compared where it is right.
        if family == "qwen3_vl":
            assert seen < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fused_folder_is_the_same_model_and_its_tower_the_same_bytes(
    family: str, students: dict[str, Trained]
) -> None:
    student = students[family]
    fused = load_policy(str(student.fused))
    eyes(fused).book = eyes(student.policy).book
    row = picture_row(student.policy)
    assert mx.allclose(fused.model(row), student.policy.model(row), atol=1e-4)
    before, after = (
        mx.load(str(folder / "model.safetensors")) for folder in (student.base, student.fused)
    )
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert before.keys() == after.keys()
    for name in (name for name in before if name.startswith("vision_tower.")):
        assert bytes(np.array(before[name])) == bytes(np.array(after[name]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_quantized_export_packs_words_alone(
    family: str, students: dict[str, Trained], tmp_path: Path
) -> None:
    student = students[family]
    request = ExportRequest("quantized", tmp_path / "packed", bits=8, group_size=32)
    folder = export_model(student.policy, request, FACTS, ignore)
    packed = load_policy(str(folder))
    kinds = {
        name.split(".")[0]
        for name, module in packed.model.named_modules()
        if isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding)
    }
    assert kinds == {"language_model"}
    error = mx.abs(packed.model(WORDS) - student.policy.model(WORDS)).mean()
    assert as_float(error) < 0.1 * as_float(mx.abs(student.policy.model(WORDS)).mean())


def test_cards_say_what_loads_them_and_name_each_adapted_layer_once(
    students: dict[str, Trained], tmp_path: Path
) -> None:
    student = students["qwen3_vl"]
    described = describe_adapter(student.adapter, str(student.base))
    assert described["adapted layers"].split(", ").count("self_attn.q_proj") == 1
    card = export_adapter(student.adapter, tmp_path / "adapter", FACTS) / "README.md"
    assert "mlx_vlm.generate --model PATH/TO/tiny --adapter-path adapter" in card.read_text()
    fused = export_model(student.policy, ExportRequest("fused", tmp_path / "f"), FACTS, ignore)
    assert "mlx_vlm.generate --model f" in (fused / "README.md").read_text()


def test_adapters_on_experts_are_said_to_need_fusing_for_mlx_vlm(tmp_path: Path) -> None:
    student = trained(tmp_path, "qwen3_vl_moe", experts=True)
    card = export_adapter(student.adapter, tmp_path / "out", FACTS) / "README.md"
    assert "mlx-vlm cannot load adapters on experts: export it fused" in card.read_text()
    fused = load_policy(str(student.fused))
    assert mx.allclose(fused.model(WORDS), student.policy.model(WORDS), atol=1e-4)


def test_an_adapter_of_another_family_is_refused_tensor_by_tensor(
    students: dict[str, Trained],
) -> None:
    policy = load_policy(str(students["qwen3_vl_moe"].base))
    with pytest.raises(ModelError, match="does not fit this model"):
        load_adapter(policy, students["qwen3_vl"].adapter)
    assert adapter_layers(policy.model) == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_plan_knows_the_layers_that_the_trainer_finds(
    family: str, students: dict[str, Trained]
) -> None:
    model = load_policy(str(students[family].base)).model
    planned = decoder_layers(parse_dimensions(tiny_config(family), family))
    assert [set(layer) for layer in linear_maps(model)] == [set(layer) for layer in planned]
