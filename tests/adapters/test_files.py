import json
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest
from mlx_lm.tuner.utils import linear_to_lora_layers

from OnPolicyDistill.adapters.files import load_adapter, save_adapter
from OnPolicyDistill.adapters.lora import adapter_layers, adapter_parameters, attach_adapter
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.settings.training import LoraSettings

TOKENS = mx.array([[1, 2, 3, 4, 5]])


def save_trained(base: Path, folder: Path, **settings: object) -> mx.array:
    """Save an adapter with nonzero B; returns the adapted model's logits."""
    policy = load_policy(str(base))
    lora = LoraSettings.model_validate({"rank": 4, **settings})
    adapter = attach_adapter(policy.model, lora, ("q_proj", "down_proj"), seed=3)
    for number, layer in enumerate(adapter_layers(policy.model).values()):
        layer.lora_b = mx.random.normal(layer.lora_b.shape, scale=0.1, key=mx.random.key(number))
    folder.mkdir(exist_ok=True)
    save_adapter(folder, policy.model, adapter, "tiny")
    return policy.model(TOKENS)


def change_config(folder: Path, **values: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("layers", [-1, 1])
def test_mlx_lm_loads_a_saved_adapter_with_identical_logits(
    tied_folder: Path, tmp_path: Path, layers: int
) -> None:
    expected = save_trained(tied_folder, tmp_path, layers=layers)
    model, _ = mlx_lm.load(str(tied_folder), adapter_path=str(tmp_path))
    assert mx.array_equal(model(TOKENS), expected)
    assert not mx.array_equal(load_policy(str(tied_folder)).model(TOKENS), expected)


def test_a_loaded_adapter_gives_identical_logits_and_can_learn_on(
    tied_folder: Path, tmp_path: Path
) -> None:
    expected = save_trained(tied_folder, tmp_path)
    policy, adapter = load_adapter(load_policy(str(tied_folder)), tmp_path)
    assert mx.array_equal(policy.model(TOKENS), expected)
    assert (adapter.rank, adapter.scale, adapter.num_modules) == (4, 8.0, 4)
    trainable = flat_arrays(policy.model.trainable_parameters())
    assert trainable.keys() == adapter_parameters(policy.model).keys()


def test_saving_what_was_loaded_gives_the_same_bytes(tied_folder: Path, tmp_path: Path) -> None:
    save_trained(tied_folder, tmp_path / "first")
    policy, adapter = load_adapter(load_policy(str(tied_folder)), tmp_path / "first")
    (tmp_path / "second").mkdir()
    save_adapter(tmp_path / "second", policy.model, adapter, "tiny")
    for name in ("adapters.safetensors", "adapter_config.json"):
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_an_adapter_that_mlx_lm_made_is_read(tied_folder: Path, tmp_path: Path) -> None:
    model, _ = mlx_lm.load(str(tied_folder))
    model.freeze()
    parameters = {"rank": 2, "scale": 5.0, "dropout": 0.0}
    linear_to_lora_layers(model, 1, parameters)
    mx.save_safetensors(
        str(tmp_path / "adapters.safetensors"), flat_arrays(model.trainable_parameters())
    )
    config = {"fine_tune_type": "lora", "num_layers": 1, "lora_parameters": parameters, "iters": 9}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    policy, adapter = load_adapter(load_policy(str(tied_folder)), tmp_path)
    assert adapter.num_modules == 7
    assert mx.array_equal(policy.model(TOKENS), model(TOKENS))


def test_the_fingerprint_changes_with_the_adapter(tied_folder: Path, tmp_path: Path) -> None:
    base = load_policy(str(tied_folder)).fingerprint
    save_trained(tied_folder, tmp_path)
    seen = {base, load_adapter(load_policy(str(tied_folder)), tmp_path)[0].fingerprint}
    change_config(tmp_path, lora_parameters={"rank": 4, "scale": 2.0, "keys": None})
    change_config(
        tmp_path,
        lora_parameters={
            "rank": 4,
            "scale": 2.0,
            "keys": ["self_attn.q_proj", "mlp.down_proj"],
        },
    )
    seen.add(load_adapter(load_policy(str(tied_folder)), tmp_path)[0].fingerprint)
    assert len(seen) == 3


def test_another_rank_than_the_config_says_is_refused_and_leaves_the_model_alone(
    tied_folder: Path, tmp_path: Path
) -> None:
    save_trained(tied_folder, tmp_path)
    parameters = json.loads((tmp_path / "adapter_config.json").read_text())["lora_parameters"]
    change_config(tmp_path, lora_parameters={**parameters, "rank": 8})
    policy = load_policy(str(tied_folder))
    before = policy.model(TOKENS)
    with pytest.raises(ModelError, match=r"names the rank 8, and .* has the shape \(128, 4\)"):
        load_adapter(policy, tmp_path)
    assert adapter_layers(policy.model) == {}
    assert mx.array_equal(policy.model(TOKENS), before)


def test_an_adapter_that_covers_other_layers_is_refused(tied_folder: Path, tmp_path: Path) -> None:
    save_trained(tied_folder, tmp_path)
    change_config(tmp_path, num_layers=1)
    with pytest.raises(ModelError, match="0 tensors are missing and 4 have no place"):
        load_adapter(load_policy(str(tied_folder)), tmp_path)


def test_an_adapter_whose_modules_do_not_exist_is_refused(
    tied_folder: Path, tmp_path: Path
) -> None:
    save_trained(tied_folder, tmp_path)
    change_config(tmp_path, lora_parameters={"rank": 4, "scale": 1.0, "keys": ["attention.wq"]})
    with pytest.raises(ModelError, match="8 have no place"):
        load_adapter(load_policy(str(tied_folder)), tmp_path)


def test_dora_and_full_weights_are_refused(tied_folder: Path, tmp_path: Path) -> None:
    save_trained(tied_folder, tmp_path)
    for kind in ("dora", "full"):
        change_config(tmp_path, fine_tune_type=kind)
        with pytest.raises(ModelError, match=f"of the kind '{kind}'"):
            load_adapter(load_policy(str(tied_folder)), tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("adapter_config.json", None, r"has no adapter_config\.json"),
        ("adapter_config.json", "{", "cannot be read as JSON"),
        ("adapter_config.json", "{}", "num_layers: Field required"),
        ("adapters.safetensors", None, r"has no adapters\.safetensors"),
        ("adapters.safetensors", "junk", "is damaged"),
    ],
)
def test_missing_and_damaged_files_are_named(
    tied_folder: Path, tmp_path: Path, file: str, content: str | None, words: str
) -> None:
    save_trained(tied_folder, tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(ModelError, match=words):
        load_adapter(load_policy(str(tied_folder)), tmp_path)


def test_a_truncated_adapter_is_refused(tied_folder: Path, tmp_path: Path) -> None:
    save_trained(tied_folder, tmp_path)
    file = tmp_path / "adapters.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated"):
        load_adapter(load_policy(str(tied_folder)), tmp_path)


def test_a_missing_folder_is_refused(tied_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no adapter folder"):
        load_adapter(load_policy(str(tied_folder)), tmp_path / "nowhere")
