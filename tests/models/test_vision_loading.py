import json
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models.switch_layers import SwitchLinear
from numpy.typing import NDArray

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.patches import patches_of
from OnPolicyDistill.models.policy import Policy, hidden_states, vocabulary_head
from OnPolicyDistill.models.saving import save_tensors, save_weights
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.vision_config import mlx_config, read_sight
from OnPolicyDistill.settings.sight import SightSettings
from tests.references.reading import COLUMN_STEP, NUMBER_STEP, PATCH_SIZES, REFERENCES
from tests.seeing_models import (
    FAMILIES,
    REFERENCE_SIZES,
    a_picture,
    as_transformers_stores,
    reference_rows,
    tiny_config,
    write_json,
    write_seeing_model,
)


def weights_of(folder: Path) -> dict[str, mx.array]:
    loaded = mx.load(str(folder / "model.safetensors"))
    assert isinstance(loaded, dict)
    return loaded


def changed_json(file: Path, **values: object) -> None:
    write_json(file, json.loads(file.read_text()) | values)


def eyes(policy: Policy) -> SeeingModel:
    assert isinstance(policy.model, SeeingModel)
    return policy.model


def reference_logits(policy: Policy, family: str) -> NDArray[np.float32]:
    """Logits of the reference's rows (B, T, some columns), 0 in padding."""
    model = eyes(policy)
    pictures = [a_picture(model.sight, *size, seed=n) for n, size in enumerate(REFERENCE_SIZES)]
    ids = [list(model.book.ids_of(picture)) for picture in pictures]
    rows = reference_rows(tiny_config(family), ids)
    T = max(map(len, rows))
    tokens = mx.array([row + [0] * (T - len(row)) for row in rows])
    logits = np.array(model(tokens).astype(mx.float32))
    for row, given in enumerate(rows):
        logits[row, len(given) :] = 0
    return logits[:, :, ::COLUMN_STEP]


def relative_error(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def mean_error(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """For rounded weights: where rounding sends a token to another expert, it is far off."""
    return float(np.abs(ours - theirs).mean() / np.abs(theirs).mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_words_and_pictures_are_those_of_torchs_classes(
    family: str, tmp_path: Path
) -> None:
    policy = load_policy(str(write_seeing_model(tmp_path, family)))
    wanted = REFERENCES[f"{family}.logits"]
    assert relative_error(reference_logits(policy, family), wanted) < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_that_transformers_5_wrote_is_the_same_model(family: str, tmp_path: Path) -> None:
    ours = load_policy(str(write_seeing_model(tmp_path / "ours", family)))
    folder = write_seeing_model(tmp_path / "theirs", family)
    mx.save_safetensors(
        str(folder / "model.safetensors"), as_transformers_stores(weights_of(folder))
    )
    written = Path(__file__).parents[1] / "references" / f"{family}.config.json"
    assert "rope_parameters" in written.read_text()
    (folder / "config.json").write_text(written.read_text())
    theirs = load_policy(str(folder))
    flat, wanted = (dict(tree_flatten(policy.model.parameters())) for policy in (theirs, ours))
    assert flat.keys() == wanted.keys()
    assert all(mx.array_equal(flat[name], wanted[name]) for name in wanted)
    assert relative_error(reference_logits(theirs, family), REFERENCES[f"{family}.logits"]) < 1e-5


def test_older_names_of_qwen2_5_vl_are_read(tmp_path: Path) -> None:
    folder = write_seeing_model(tmp_path, "qwen2_5_vl")
    older = {
        name.replace("model.language_model.", "model.").replace("model.visual.", "visual."): array
        for name, array in as_transformers_stores(weights_of(folder)).items()
    }
    mx.save_safetensors(str(folder / "model.safetensors"), older)
    logits = reference_logits(load_policy(str(folder)), "qwen2_5_vl")
    assert relative_error(logits, REFERENCES["qwen2_5_vl.logits"]) < 1e-5


def test_swapped_activations_would_be_seen(tmp_path: Path) -> None:
    policy = load_policy(str(write_seeing_model(tmp_path, "qwen3_vl_moe")))
    tower = eyes(policy).vision_tower
    for block in tower.blocks:
        block.mlp.act_fn = nn.GELU()
    for merger in (tower.merger, *tower.deepstack_merger_list):
        merger.act_fn = nn.GELU(approx="tanh")
    wanted = REFERENCES["qwen3_vl_moe.logits"]
    assert relative_error(reference_logits(policy, "qwen3_vl_moe"), wanted) > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_patches_are_those_of_transformers_processor(family: str, tmp_path: Path) -> None:
    sight = read_sight(write_seeing_model(tmp_path, family), mlx_config(tiny_config(family)))
    for number, size in enumerate(PATCH_SIZES):
        patches = patches_of(a_picture(sight, *size, seed=9).pixels(), sight)
        wanted = REFERENCES[f"{family}.patches.{number}"]
        assert np.abs(patches.reshape(-1)[::NUMBER_STEP] - wanted).max() <= 5e-7


@pytest.mark.parametrize("key", ["model_file", "auto_map"])
def test_a_folder_that_names_python_of_its_own_is_refused(key: str, tmp_path: Path) -> None:
    folder = write_seeing_model(tmp_path, "qwen3_vl")
    changed_json(folder / "config.json", **{key: "mine.py"})
    (folder / "mine.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ModelError, match=f"Python of its own.*{key}.*never done"):
        load_policy(str(folder))


def test_mlx_vlm_is_imported_for_pictures_alone_and_leaves_transformers_as_it_was() -> None:
    script = (
        "import os, sys; from OnPolicyDistill.models import loading, vision_loading;"
        "assert 'mlx_vlm' not in sys.modules;"
        "from transformers import AutoProcessor; own = AutoProcessor.from_pretrained.__func__;"
        f"ours = dict(os.environ); families = {FAMILIES!r};"
        "[vision_loading.family_module(family) for family in families];"
        "assert 'mlx_vlm' in sys.modules; assert dict(os.environ) == ours;"
        "assert AutoProcessor.from_pretrained.__func__ is own"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_machine_without_mlx_vlm_is_told_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_seeing_model(tmp_path, "qwen3_vl")
    monkeypatch.setitem(sys.modules, "mlx_vlm", None)
    monkeypatch.delitem(sys.modules, "mlx_vlm.models", raising=False)
    with pytest.raises(ModelError, match=r"need mlx-vlm.*not installed.*onpolicydistill\[vlm\]"):
        load_policy(str(folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_and_packed_weights_agree_loosely(family: str, tmp_path: Path) -> None:
    wanted = REFERENCES[f"{family}.logits"]
    folder = write_seeing_model(tmp_path, family)
    plain = load_policy(str(folder))
    halves = {name: array.astype(mx.bfloat16) for name, array in weights_of(folder).items()}
    save_tensors(folder, halves)
    half = load_policy(str(folder))
    assert half.model.layers[0].self_attn.q_proj.weight.dtype == mx.bfloat16
    if family != "qwen3_vl_moe":  # MLX multiplies experts on a CPU in float32 alone
        assert mean_error(reference_logits(half, family), wanted) < 0.1
    whole = load_policy(str(folder), mixed_precision=False)
    assert mean_error(reference_logits(whole, family), wanted) < 0.1
    model = eyes(plain)
    nn.quantize(model, 32, 8, class_predicate=_packs)
    save_weights(folder, model)
    changed_json(folder / "config.json", quantization={"group_size": 32, "bits": 8})
    packed = load_policy(str(folder))
    assert isinstance(packed.model.layers[0].self_attn.q_proj, nn.QuantizedLinear)
    assert isinstance(eyes(packed).vision_tower.blocks[0].attn.qkv, nn.Linear)
    assert mean_error(reference_logits(packed, family), wanted) < 0.1
    picture = eyes(packed).book.ids_of(a_picture(eyes(packed).sight, 2, 3))
    request = GenerationRequest([[1, *picture, 2]], [0], frozenset(), packed.vocab_size, 6)
    rollout = generate(packed.model, request)[0]
    hidden = hidden_states(packed.model, mx.array([rollout.token_ids]))[0]
    logits = vocabulary_head(packed).logits(hidden[len(rollout.prompt_ids) - 1 : -1])
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    again = mx.take_along_axis(logprobs, mx.array(rollout.completion_ids)[:, None], axis=-1)
    # Decoding and scoring sum in other orders, and packed products are not exact.
    assert rollout.logprobs == pytest.approx(again[:, 0].tolist(), abs=1e-3)


def _packs(path: str, module: nn.Module) -> bool:
    """Words alone, and what MLX can pack of them."""
    is_packable = isinstance(module, nn.Linear | SwitchLinear)
    return is_packable and path.startswith("language_model.")


def test_a_tied_head_needs_no_weights_of_its_own(tmp_path: Path) -> None:
    folder = write_seeing_model(tmp_path, "qwen2_5_vl", changed={"tie_word_embeddings": True})
    assert "language_model.lm_head.weight" not in weights_of(folder)
    assert load_policy(str(folder)).model(mx.array([[1, 2]])).shape == (1, 2, 288)


def test_limits_are_the_folders_own_unless_the_settings_say_others(tmp_path: Path) -> None:
    folder = write_seeing_model(tmp_path, "qwen3_vl")
    sight = load_policy(str(folder)).sight
    assert sight is not None
    assert (sight.min_pixels, sight.max_pixels) == (1024, 102_400)
    chosen = load_policy(str(folder), sight=SightSettings(min_pixels=2000, max_pixels=3000)).sight
    assert chosen is not None
    assert (chosen.min_pixels, chosen.max_pixels) == (2000, 3000)


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("preprocessor_config.json", {"min_pixels": 784, "max_pixels": 90_000, "size": None}),
        ("preprocessor_config.json", {"size": {"min_pixels": 784, "max_pixels": 90_000}}),
        ("processor_config.json", {"size": {"shortest_edge": 784, "longest_edge": 90_000}}),
        (
            "video_preprocessor_config.json",
            {"size": {"shortest_edge": 784, "longest_edge": 90_000}},
        ),
    ],
)
def test_picture_settings_are_read_from_every_file_and_form(
    file: str, values: dict[str, object], tmp_path: Path
) -> None:
    folder = write_seeing_model(tmp_path, "qwen3_vl")
    given = json.loads((folder / "preprocessor_config.json").read_text()) | values
    (folder / "preprocessor_config.json").unlink()
    write_json(folder / file, {"image_processor": given} if file[:10] == "processor_" else given)
    sight = load_policy(str(folder)).sight
    assert sight is not None
    assert (sight.min_pixels, sight.max_pixels, sight.patch) == (784, 90_000, 16)


def test_settings_of_pictures_that_are_missing_or_of_another_model_are_refused(
    tmp_path: Path,
) -> None:
    folder = write_seeing_model(tmp_path, "qwen3_vl")
    file = folder / "preprocessor_config.json"
    changed_json(file, patch_size=14)
    with pytest.raises(ModelError, match="patches of 14 pixels"):
        load_policy(str(folder))
    changed_json(file, patch_size=16, image_mean=[0.5])
    with pytest.raises(ModelError, match="incomplete"):
        load_policy(str(folder))
    file.unlink()
    with pytest.raises(ModelError, match="no preprocessor_config"):
        load_policy(str(folder))


def test_a_tokenizer_without_the_models_markers_is_refused(tmp_path: Path) -> None:
    folder = write_seeing_model(tmp_path, "qwen3_vl")
    changed_json(folder / "config.json", image_token_id=274)
    with pytest.raises(ModelError, match=r"<\|image_pad\|> as 275.*wants 274"):
        load_policy(str(folder))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "scaled in a way"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"rope_scaling": {"type": "mrope"}}, "no mrope_section"),
        ({"vision_config": None}, "no vision_config"),
        ({"hidden_size": 96}, "do not fit"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "another program"),
    ],
)
def test_what_the_models_code_cannot_do_is_said_in_words(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    folder = write_seeing_model(tmp_path, "qwen2_5_vl")
    changed_json(folder / "config.json", **changes)
    with pytest.raises(ModelError, match=said):
        load_policy(str(folder))


def test_weights_that_are_missing_or_too_many_are_refused(tmp_path: Path) -> None:
    folder = write_seeing_model(tmp_path, "qwen3_vl")
    weights = weights_of(folder)
    spare = {**weights, "vision_tower.spare.weight": mx.zeros((2,))}
    mx.save_safetensors(str(folder / "model.safetensors"), spare)
    with pytest.raises(ModelError, match="do not fit its config"):
        load_policy(str(folder))
    weights.pop("vision_tower.merger.linear_fc2.bias")
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    with pytest.raises(ModelError, match="do not fit its config"):
        load_policy(str(folder))
