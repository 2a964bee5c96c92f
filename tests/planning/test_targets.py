"""What an adapter goes on: names, routers, experts, and layers read off weight files."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.chips import find_chip
from OnPolicyDistill.planning.dimensions import decoder_layers, num_parameters, parse_dimensions
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.stored_layers import stored_layers
from OnPolicyDistill.planning.targets import LinearMap, choose_targets
from OnPolicyDistill.planning.workload import continued_lora
from OnPolicyDistill.registry import find_model
from OnPolicyDistill.settings.training import LoraSettings

ATTENTION = LinearMap("self_attn.q_proj", 8, 8)
ROUTER = LinearMap("mlp.gate", 4, 8)
EXPERT = LinearMap("mlp.switch_mlp.up_proj", 6, 8, copies=4)
DENSE = LinearMap("mlp.up_proj", 16, 8)
SHARED_GATE = LinearMap("mlp.shared_expert_gate", 1, 8)
MIXTURE = ((ATTENTION, DENSE), (ATTENTION, ROUTER, EXPERT, SHARED_GATE))
MOE = "qwen3-30b-a3b-instruct-2507"


def choose(family=None, layers=MIXTURE, **lora):
    return choose_targets(layers, LoraSettings(rank=2, **lora), family)


def messages(choice):
    return [f"{problem.message} {problem.action}" for problem in choice.problems]


def test_without_names_everything_is_adapted_but_routers_and_experts():
    choice = choose()
    assert choice.layers == ((ATTENTION, DENSE), (ATTENTION,))
    assert choice.paths == ("mlp.up_proj", "self_attn.q_proj")
    assert choice.num_modules == 3
    assert choice.num_parameters(2) == 2 * (16 + 24 + 16)
    assert not choice.problems


def test_what_steers_a_state_or_chooses_tokens_is_adapted_only_by_name():
    carrying = LinearMap("linear_attn.in_proj_qkv", 16, 8)
    decay = LinearMap("linear_attn.in_proj_a", 4, 8)
    indexer = LinearMap("self_attn.indexer.wq_b", 8, 8)
    layers = ((carrying, decay, indexer),)
    assert choose(layers=layers).paths == ("linear_attn.in_proj_qkv",)
    named = choose(layers=layers, targets=["in_proj_a", "wq_b"])
    assert named.paths == ("linear_attn.in_proj_a", "self_attn.indexer.wq_b")
    assert not named.problems


def test_a_map_whose_weights_the_model_reads_itself_takes_no_adapter_even_by_name():
    layers = ((ATTENTION, LinearMap("altup.prediction_coefs", 4, 2)),)
    assert choose(layers=layers).paths == ("self_attn.q_proj",)
    named = choose(layers=layers, targets=["prediction_coefs", "q_proj"])
    assert named.paths == ("self_attn.q_proj",)
    (message,) = messages(named)
    assert "'prediction_coefs' itself, past whatever an adapter adds" in message


def test_every_expert_has_matrices_of_its_own_in_one_adapter_layer():
    choice = choose(experts=True)
    assert choice.num_modules == 4
    assert choice.num_parameters(2) == 2 * (16 + 24 + 16 + 4 * 14)


def test_a_familys_names_are_those_of_dense_layers_until_experts_are_asked_for():
    names = ("q_proj", "up_proj")
    assert choose(names).paths == ("mlp.up_proj", "self_attn.q_proj")
    assert "mlp.switch_mlp.up_proj" in choose(names, experts=True).paths
    only_experts = choose(names, MIXTURE[1:])
    assert only_experts.paths == ("self_attn.q_proj",)
    assert not only_experts.problems


@pytest.mark.parametrize("target", ["gate", "mlp.gate", "shared_expert_gate"])
def test_a_router_is_refused_by_name_even_with_experts(target):
    choice = choose(targets=("q_proj", target), experts=True)
    assert f"{target!r} is a router" in messages(choice)[0]
    assert choice.paths == ("self_attn.q_proj",)


def test_experts_named_without_being_asked_for_are_refused_with_the_setting_that_asks():
    choice = choose(targets=("switch_mlp.up_proj",))
    assert "lora.experts to true" in messages(choice)[0]
    assert not choose(targets=("switch_mlp.up_proj",), experts=True).problems


def test_a_name_that_matches_nothing_lists_what_there_is():
    choice = choose(targets=("w1",))
    assert messages(choice) == [
        "The LoRA target 'w1' matches no linear layer of this model. It has: q_proj, up_proj."
    ]


def test_only_the_last_layers_count_and_are_searched():
    choice = choose(targets=("mlp.up_proj",), layers=MIXTURE[::-1], **{})
    assert choice.num_modules == 1
    last = choose_targets(MIXTURE, LoraSettings(targets=("mlp.up_proj",), layers=1), None)
    assert "matches no linear layer" in last.problems[0].message


def test_the_known_mixture_adapts_attention_and_with_experts_forty_times_as_much():
    facts = describe_model(MOE)
    frozen, adapted = (
        choose_targets(facts.layers, LoraSettings(rank=16, experts=experts), facts.lora_targets)
        for experts in (False, True)
    )
    attention = (4096 + 2048) + 2 * (512 + 2048) + (2048 + 4096)
    assert frozen.num_parameters(16) == 48 * 16 * attention
    expert = 3 * (2048 + 768)
    assert adapted.num_parameters(16) == 48 * 16 * (attention + 128 * expert)
    assert (frozen.num_modules, adapted.num_modules) == (48 * 4, 48 * 7)


def test_adapting_experts_needs_memory_and_time_for_all_their_matrices():
    def plan(experts):
        lora = {"experts": experts}
        settings = {"student_model": MOE, "teacher_model": MOE, "lora": lora}
        return plan_run(parse_config({"distillation": settings}), 512, "m3-ultra")

    frozen, adapted = plan(False), plan(True)
    more = adapted.adapter_parameters - frozen.adapter_parameters
    assert adapted.parts["lora_and_optimizer"] - frozen.parts["lora_and_optimizer"] == (
        pytest.approx(more * 24 / 1e9, abs=0.02)
    )
    optimizer = 40 * more / find_chip("m3-ultra").bytes_per_second
    assert frozen.step.learning + optimizer < adapted.step.learning < 1.2 * frozen.step.learning
    assert adapted.step.scoring == frozen.step.scoring
    assert (frozen.adapter.experts, adapted.adapter.experts) == ("frozen", "adapted")
    assert any("experts and router stay frozen" in line for line in frozen.assumptions)


CONFIG = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 64,
    "tie_word_embeddings": True,
}


def test_a_dense_layer_in_a_mixture_is_counted_as_one():
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 6}
    config = {**CONFIG, **experts, "model_type": "qwen3_moe"}
    mixed = parse_dimensions({**config, "mlp_only_layers": [0]}, "mixed")
    every_second = parse_dimensions({**config, "decoder_sparse_step": 2}, "mixed")
    throughout = parse_dimensions(config, "mixture")
    assert mixed.expert_layers == every_second.expert_layers == (1,)
    assert throughout.expert_layers == (0, 1)
    difference = num_parameters(throughout) - num_parameters(mixed)
    assert difference == 4 * 8 + 4 * 3 * 8 * 6 - 3 * 8 * 16
    assert mixed.active_intermediate == 16
    assert throughout.active_intermediate == 12


def test_mixtral_keeps_its_experts_under_names_of_its_own():
    dimensions = parse_dimensions(
        {**CONFIG, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
        "mixtral",
    )
    layer = {found.path: found for found in decoder_layers(dimensions)[0]}
    assert layer["block_sparse_moe.switch_mlp.up_proj"].copies == 4
    assert layer["block_sparse_moe.switch_mlp.up_proj"].outputs == 16
    assert dimensions.active_intermediate == 32


def write_shapes(folder, shapes):
    """A safetensors file with one byte an entry, of any shapes."""
    header, start = {}, 0
    for name, shape in shapes.items():
        size = 1
        for each in shape:
            size *= each
        offsets = [start, start + size]
        header[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": offsets}
        start += size
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(start)
    (folder / "model.safetensors").write_bytes(data)


def test_layers_are_read_off_files_with_one_tensor_for_each_expert(tmp_path):
    write_shapes(
        tmp_path,
        {
            "model.embed_tokens.weight": (64, 8),
            "model.layers.0.self_attn.q_proj.weight": (8, 8),
            "model.layers.0.self_attn.q_proj.bias": (8,),
            "model.layers.0.conv.weight": (8, 1, 4),
            "model.layers.0.input_layernorm.weight": (8,),
            "model.layers.0.mlp.gate.weight": (2, 8),
            "model.layers.0.mlp.experts.0.up_proj.weight": (6, 8),
            "model.layers.0.mlp.experts.1.up_proj.weight": (6, 8),
            "model.layers.1.self_attn.q_proj.weight": (8, 8),
            "model.layers.2.self_attn.q_proj.weight": (8, 8),
            "model.vision_tower.layers.0.fc1.weight": (8, 8),
            "mtp.layers.0.fc.weight": (8, 8),
        },
    )
    layers = stored_layers(tmp_path, {}, num_layers=2)
    assert layers[0] == (
        LinearMap("mlp.experts.up_proj", 6, 8, copies=2),
        LinearMap("mlp.gate", 2, 8),
        LinearMap("self_attn.q_proj", 8, 8),
    )
    assert layers[1] == (LinearMap("self_attn.q_proj", 8, 8),)


def test_packed_and_stacked_weights_are_read_with_the_bits_of_their_own_module(tmp_path):
    stem = "model.layers.0.mlp"
    write_shapes(
        tmp_path,
        {
            f"{stem}.switch_mlp.up_proj.weight": (4, 6, 8),
            f"{stem}.switch_mlp.up_proj.scales": (4, 6, 1),
            f"{stem}.down_proj.weight": (6, 16),
            f"{stem}.down_proj.scales": (6, 2),
        },
    )
    config = {"quantization": {"group_size": 64, "bits": 4, f"{stem}.down_proj": {"bits": 8}}}
    assert stored_layers(tmp_path, config, 1)[0] == (
        LinearMap("mlp.down_proj", 6, 64),
        LinearMap("mlp.switch_mlp.up_proj", 6, 64, copies=4),
    )


def check(model, **lora):
    return check_run(parse_config({"method": "sft", "sft": {"model": model, "lora": lora}}))


def findings(report):
    return {
        (found.severity, found.code, found.field)
        for found in report.findings
        if found.field.startswith("sft.lora")
    }


@pytest.mark.parametrize("target", ["gate", "qkv_proj", "down_proj"])
def test_the_check_refuses_targets_that_the_trainer_would_refuse(target):
    report = check(MOE, targets=["q_proj", target])
    assert findings(report) == {("error", "lora_targets", "sft.lora.targets")}
    assert report.verdict == "error"


def test_the_check_warns_of_experts_where_there_are_none():
    assert findings(check("qwen2.5-0.5b", experts=True)) == {
        ("warning", "no_experts", "sft.lora.experts")
    }
    assert not findings(check(MOE, experts=True))


def test_names_of_an_unknown_family_are_only_doubted_before_it_is_loaded(model_folder):
    folder = model_folder("odd", config={**CONFIG, "model_type": "odd"})
    report = check(str(folder), targets=["w1"])
    assert findings(report) == {("warning", "lora_targets", "sft.lora.targets")}
    assert not report.adapter.known_family


def test_an_evaluation_and_whole_weights_plan_no_adapter():
    whole = parse_config({"method": "sft", "sft": {"model": "qwen2.5-0.5b", "lora": None}})
    variants = [{"name": "base", "model": "qwen2.5-0.5b"}]
    evaluation = {"variants": variants, "inputs": "nowhere.jsonl"}
    nothing = parse_config({"method": "evaluation", "evaluation": evaluation})
    for config in (whole, nothing):
        assert plan_run(config, 64, "m4-max").adapter is None
        assert check_run(config).adapter is None
    assert find_model("qwen2.5-0.5b").params == plan_run(whole, 64, "m4-max").adapter_parameters


def test_a_run_that_goes_on_from_an_adapter_plans_what_that_one_is_on(tmp_path):
    parameters = {"rank": 2, "scale": 1.0, "keys": ["mlp.switch_mlp.up_proj", "self_attn.q_proj"]}
    config = {"num_layers": 3, "lora_parameters": parameters}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    save_file({"q_proj.lora_a": np.zeros((8, 2), np.float32)}, tmp_path / "adapters.safetensors")
    settings = {"student_model": MOE, "teacher_model": MOE, "lora": {"targets": ["gate"]}}
    fresh = parse_config({"distillation": settings})
    going_on = parse_config({"distillation": {**settings, "student_adapter": str(tmp_path)}})
    plan = plan_run(going_on, 512, "m3-ultra")
    assert plan.adapter_parameters == 3 * 2 * (128 * (768 + 2048) + 4096 + 2048)
    refused = {found.code for found in check_run(going_on).findings}
    assert "lora_targets" not in refused
    assert "lora_targets" in {found.code for found in check_run(fresh).findings}


@pytest.mark.parametrize("text", [None, "{", "[]", '{"lora_parameters": {"rank": "many"}}'])
def test_an_adapter_that_cannot_be_read_leaves_the_settings_to_the_plan(text, tmp_path):
    if text is not None:
        (tmp_path / "adapter_config.json").write_text(text)
    lora = LoraSettings(rank=8)
    assert continued_lora(lora, str(tmp_path)) == lora


@pytest.mark.parametrize("name", ["qwen3.5-4b", "lfm2-1.2b", "gemma-4-e2b"])
def test_a_familys_list_is_of_the_whole_model_and_not_of_its_last_layers(name):
    known = find_model(name)
    layers = decoder_layers(parse_dimensions(known.config, name))
    last = LoraSettings(rank=2, layers=1)
    assert not set(known.lora_targets) <= {found.name for found in layers[-1]}
    choice = choose_targets(layers, last, known.lora_targets)
    assert choice.problems == ()
    assert len(choice.layers) == 1
    assert choice.num_modules > 3
    (missing, *_) = set(known.lora_targets) - {found.name for found in layers[-1]}
    asked = choose_targets(layers, last.model_copy(update={"targets": (missing,)}), None)
    assert "matches no linear layer" in asked.problems[0].message
