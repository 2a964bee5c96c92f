"""One answer to what an adapter goes on: the trainer's, the plan's and the check's are the same."""

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.utils import load_model, quantize_model, save_config

from OnPolicyDistill.adapters.lora import AttachedAdapter, adapter_layers
from OnPolicyDistill.config import SftConfig, parse_config
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.saving import copy_settings, save_weights
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.targets import PlannedAdapter
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import Warned
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.training.student import attach_fresh_adapter
from tests.families import FAMILIES, MIXTURES, write_family

UNKNOWN = ("starcoder2", "olmoe")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {family: write_family(root / family, family) for family in FAMILIES}


def attached(folder: Path, root: Path, **lora: object) -> tuple[nn.Module, AttachedAdapter]:
    """What the trainer puts on a model, and the model; its run is in `root`."""
    config = configured(folder, **lora)
    policy = load_policy(str(folder))
    reporter = Reporter(create_run(root, config))
    assert config.sft.lora is not None
    adapter = attach_fresh_adapter(policy, config.sft.lora, 0, reporter)
    reporter.close()
    return policy.model, adapter


def configured(folder: Path, **lora: object) -> SftConfig:
    settings = {"model": str(folder), "lora": {"rank": 2, **lora}}
    config = parse_config({"method": "sft", "sft": settings})
    assert isinstance(config, SftConfig)
    return config


def planned(folder: Path, **lora: object) -> PlannedAdapter:
    config = configured(folder, **lora)
    plan = plan_run(config, 128, "m3-ultra")
    assert plan.adapter is not None
    assert plan.adapter_parameters == plan.adapter.num_parameters
    assert check_run(config).adapter == plan.adapter
    return plan.adapter


@pytest.mark.parametrize("layers", [-1, 1])
@pytest.mark.parametrize("experts", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_trainer_plan_and_check_count_the_same_adapter(
    family: str, experts: bool, layers: int, folders: dict[str, Path], tmp_path: Path
) -> None:
    lora = {"experts": experts, "layers": layers}
    plan = planned(folders[family], **lora)
    model, adapter = attached(folders[family], tmp_path, **lora)
    learns = flat_arrays(model.trainable_parameters())
    assert plan.num_parameters == adapter.num_parameters == sum(a.size for a in learns.values())
    assert plan.num_modules == adapter.num_modules == len(adapter_layers(model))
    assert plan.targets == adapter.keys
    mixture = "adapted" if experts else "frozen"
    assert plan.experts == (mixture if family in MIXTURES else "none")
    assert plan.known_family == (family not in UNKNOWN)


@pytest.mark.parametrize("experts", [False, True])
@pytest.mark.parametrize("family", MIXTURES)
def test_a_router_never_takes_an_adapter_and_experts_only_when_asked(
    family: str, experts: bool, folders: dict[str, Path], tmp_path: Path
) -> None:
    model, adapter = attached(folders[family], tmp_path, experts=experts)
    parts = {part for name in adapter_layers(model) for part in name.split(".")}
    assert not parts & {"gate", "router", "shared_expert_gate"}
    assert bool(parts & {"switch_mlp", "experts"}) == experts
    assert "self_attn.q_proj" in adapter.keys


def test_fused_projections_are_adapted_under_their_own_names(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    _, adapter = attached(folders["phi3"], tmp_path)
    assert {key.rsplit(".", 1)[-1] for key in adapter.keys} == {
        "qkv_proj",
        "o_proj",
        "gate_up_proj",
        "down_proj",
    }


@pytest.mark.parametrize("family", ["qwen3_moe", "olmoe"])
def test_a_quantized_folder_is_counted_as_what_it_unpacks_to(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Some layers have their own number of bits, as in mlx-lm's mixed conversions."""
    model, config = load_model(folders[family])
    model, config = quantize_model(
        model,
        config,
        32,
        4,
        quant_predicate=lambda path, _: {"group_size": 32, "bits": 8} if "q_proj" in path else True,
    )
    packed = tmp_path / "packed"
    packed.mkdir()
    save_weights(packed, model)
    save_config(config, packed / "config.json")
    copy_settings(folders[family], packed, with_config=False)
    plan = planned(packed, experts=True)
    model, adapter = attached(packed, tmp_path, experts=True)
    assert plan.num_parameters == adapter.num_parameters
    assert plan == planned(folders[family], experts=True)
    assert mx.isfinite(model(mx.array([[1, 2, 3]]))).all()


def test_a_family_without_a_list_is_said_once_with_what_was_found(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    for family in ("starcoder2", "qwen2"):
        attached(folders[family], tmp_path)
    runs = sorted((tmp_path / "runs").iterdir())
    events = [event for run in runs for event in read_events(run / "events.jsonl")]
    said = [event for event in events if isinstance(event, Warned)]
    assert [event.code for event in said] == ["unknown_family"]
    assert "mlp.c_fc, mlp.c_proj, self_attn.k_proj" in said[0].message


def test_a_run_with_named_targets_says_nothing_of_its_family(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    attached(folders["starcoder2"], tmp_path, targets=["c_fc"])
    run = next((tmp_path / "runs").iterdir())
    assert not [event for event in read_events(run / "events.jsonl") if isinstance(event, Warned)]
