from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest
from mlx_lm import utils

from OnPolicyDistill.models import saving
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.saving import copy_settings, load_weights, save_weights

TOKENS = mx.array([[1, 2, 3]])


def test_a_saved_folder_loads_in_mlx_lm_with_the_same_logits(
    untied_folder: Path, tmp_path: Path
) -> None:
    policy = load_policy(str(untied_folder))
    save_weights(tmp_path, policy.model)
    copy_settings(untied_folder, tmp_path)
    model, tokenizer = mlx_lm.load(str(tmp_path))
    assert mx.array_equal(model(TOKENS), policy.model(TOKENS))
    assert tokenizer.chat_template is not None
    assert load_policy(str(tmp_path)).fingerprint == policy.fingerprint


def test_saving_leaves_the_live_model_whole(untied_folder: Path, tmp_path: Path) -> None:
    policy = load_policy(str(untied_folder))
    before = policy.model(TOKENS)
    save_weights(tmp_path, policy.model)
    assert mx.array_equal(policy.model(TOKENS), before)


def test_the_same_weights_give_the_same_bytes(untied_folder: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        save_weights(tmp_path / name, load_policy(str(untied_folder)).model)
    first, second = (tmp_path / name / "model.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_big_models_are_written_in_shards_with_an_index(
    untied_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "MAX_FILE_GB", 0)
    policy = load_policy(str(untied_folder))
    save_weights(tmp_path, policy.model)
    copy_settings(untied_folder, tmp_path)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert mx.array_equal(load_policy(str(tmp_path)).model(TOKENS), policy.model(TOKENS))
    model, _ = utils.load_model(tmp_path)
    assert mx.array_equal(model(TOKENS), policy.model(TOKENS))


def test_weights_come_back_into_a_live_model(untied_folder: Path, tmp_path: Path) -> None:
    policy = load_policy(str(untied_folder))
    save_weights(tmp_path, policy.model)
    changed = load_policy(str(untied_folder))
    changed.model.model.norm.weight = changed.model.model.norm.weight * 2
    load_weights(tmp_path, changed.model)
    expected = flat_arrays(policy.model.parameters())
    actual = flat_arrays(changed.model.parameters())
    assert all(mx.array_equal(expected[name], actual[name]) for name in expected)
