"""Training a mixture of experts, with and without its experts, until it is taken away."""

import json
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest

from OnPolicyDistill.adapters.card import write_card
from OnPolicyDistill.adapters.export import ExportRequest, export_model
from OnPolicyDistill.adapters.facts import describe_adapter, facts_of_run
from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.adapters.forms import ExportForm
from OnPolicyDistill.config import SftConfig, parse_config
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.trainers.sft import train
from tests.families import write_family

TOKENS = mx.array([[1, 2, 3, 4, 5]])
FAMILIES = ("qwen3_moe", "mixtral")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("mixtures")
    # The routers of Qwen3 are packed in groups of 64.
    return {family: write_family(root / family, family, hidden_size=64) for family in FAMILIES}


def new_run(workspace: Path, model: Path, experts: bool) -> RunDirectory:
    workspace.mkdir(exist_ok=True)
    file = workspace / "conversations.jsonl"
    pairs = [("third of March", "03-03"), ("half past six", "18:30")]
    lines = [json.dumps({"prompt": ask, "completion": answer}) for ask, answer in pairs]
    file.write_text("\n".join(lines) + "\n")
    settings = {
        "model": str(model),
        "conversations": str(file),
        "num_steps": 4,
        "batch_size": 2,
        "gradient_accumulation_steps": 1,
        "learning_rate": 0.01,
        "lora": {"rank": 4, "alpha": 8, "experts": experts},
        "checkpoint_every": 2,
    }
    config = parse_config({"method": "sft", "sft": settings})
    assert isinstance(config, SftConfig)
    return create_run(workspace, config)


@pytest.fixture(scope="module", params=[False, True], ids=["frozen", "adapted"])
def experts(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module", params=FAMILIES)
def trained(
    request: pytest.FixtureRequest,
    experts: bool,
    folders: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, RunDirectory]:
    """A model folder, and a finished run on it."""
    folder = folders[request.param]
    run = new_run(tmp_path_factory.mktemp("run"), folder, experts)
    train(run)
    return folder, run


def adapted(trained: tuple[Path, RunDirectory]) -> Policy:
    folder, run = trained
    return load_adapter(load_policy(str(folder)), run.checkpoints / "last")[0]


def test_what_was_asked_for_has_learned_and_mlx_lm_loads_it_with_the_same_logits(
    trained: tuple[Path, RunDirectory], experts: bool
) -> None:
    folder, run = trained
    policy = adapted(trained)
    model, _ = mlx_lm.load(str(folder), adapter_path=str(run.checkpoints / "last"))
    assert mx.array_equal(model(TOKENS), policy.model(TOKENS))
    learned = {
        name
        for name, array in flat_arrays(policy.model.trainable_parameters()).items()
        if name.endswith("lora_b") and float(mx.abs(array).max()) > 0
    }
    assert any("q_proj" in name for name in learned)
    assert any("switch_mlp" in name for name in learned) == experts
    assert not any(".gate." in name for name in learned)


@pytest.mark.parametrize("form", ["fused", "quantized"])
def test_a_mixture_that_is_taken_away_answers_as_it_was_trained(
    trained: tuple[Path, RunDirectory], form: ExportForm, tmp_path: Path
) -> None:
    policy = adapted(trained)
    request = ExportRequest(form, tmp_path / "out", bits=8, group_size=32)
    folder, run = trained
    export_model(policy, request, facts_of_run(run, 4), lambda *_: None)
    model, _ = mlx_lm.load(str(tmp_path / "out"))
    expected = policy.model(TOKENS)
    if form == "fused":
        assert mx.allclose(model(TOKENS), expected, rtol=0, atol=1e-5)
    # Rounding may send a token to another expert, so that the largest difference says little.
    rounding = float(mx.abs(model(TOKENS) - expected).mean())
    base = load_policy(str(folder)).model(TOKENS)
    assert rounding < 0.5 * float(mx.abs(base - expected).mean())


def test_the_card_says_what_of_the_mixture_was_adapted(
    trained: tuple[Path, RunDirectory], experts: bool
) -> None:
    card = write_card(facts_of_run(trained[1], 4))
    assert f"- experts: {'adapted' if experts else 'frozen'}\n- router: frozen" in card
    assert ("switch_mlp.down_proj" in card) == experts
    assert "self_attn.q_proj" in card
    assert "lora.experts" not in card


def test_a_card_of_a_dense_model_speaks_of_no_experts(tmp_path: Path) -> None:
    keys = {"lora_parameters": {"rank": 2, "scale": 1.0, "keys": ["self_attn.q_proj"]}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(keys))
    assert describe_adapter(tmp_path, "qwen2.5-0.5b") == {"adapted layers": "self_attn.q_proj"}
    assert describe_adapter(tmp_path, "qwen3-30b-a3b-instruct-2507")["router"] == "frozen"
    assert describe_adapter(tmp_path / "nowhere", "qwen2.5-0.5b") == {}


def test_a_resumed_mixture_ends_with_the_bytes_of_an_uninterrupted_one(
    folders: dict[str, Path], experts: bool, tmp_path: Path
) -> None:
    whole = new_run(tmp_path / "whole", folders["qwen3_moe"], experts)
    train(whole)
    broken = new_run(tmp_path / "broken", folders["qwen3_moe"], experts)
    stop = StopRequest()

    def stop_at_three(event: Event) -> None:
        if event.kind == "step_finished" and event.step == 3:
            stop.set()

    with pytest.raises(StoppedError):
        train(broken, stop_at_three, stop)
    train(broken, checkpoint=last_checkpoint(broken))
    for file in ("adapters.safetensors", "optimizer.safetensors"):
        first, second = (run.checkpoints / "000004" / file for run in (whole, broken))
        assert first.read_bytes() == second.read_bytes()
