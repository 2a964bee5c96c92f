"""Grafting a tiny Qwen2.5-VL tower on a tiny Qwen3: bytes, refusals, folding, and what is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.utils import load_model, quantize_model, save_config
from pydantic import JsonValue

from OnPolicyDistill.adapters.graft_files import fold
from OnPolicyDistill.adapters.graft_parts import parts_of_grafted
from OnPolicyDistill.adapters.surgery import graft_models
from OnPolicyDistill.errors import DiskFullError, InputError, ModelError, StoppedError
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import arrays_of
from OnPolicyDistill.models.policy import Policy, encode_picture_prompt, hidden_states
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.stopping import stoppable
from tests.grafts import ALWAYS, NEVER, VISION, tower_arrays, write_language, write_vision

HEADER_BYTES = 100_000


@pytest.fixture(scope="session")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vision(tmp_path_factory.mktemp("vision"))


@pytest.fixture(scope="session")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language(tmp_path_factory.mktemp("language"))


@pytest.fixture(scope="session")
def grafted(vision: Path, language: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graft(vision, language, tmp_path_factory.mktemp("graft") / "grafted")


def graft(vision: Path, language: Path, target: Path, kind: str = "linear", **how: object) -> Path:
    assert kind in ("linear", "mlp")
    matched, seed = bool(how.get("matched", False)), int(str(how.get("seed", 0)))
    graft_models((str(vision), str(language)), target, kind, matched, seed, lambda *_: None)  # type: ignore[arg-type]
    return target


def drawn(seed: int = 0, height: int = 56, width: int = 84) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Picture(f"{seed} {height} {width}", height, width, height * width // 784, lambda: pixels)


def logits(policy: Policy, picture: Picture) -> mx.array:
    model = policy.model
    assert isinstance(model, SeeingModel)
    ids = [5, 6, *model.book.ids_of(picture), 7, 8, 9]
    return model(mx.array([ids]))


def bytes_of(arrays: dict[str, mx.array]) -> dict[str, bytes]:
    return {name: np.array(array).tobytes() for name, array in arrays.items()}


def test_a_grafted_folder_holds_both_models_weights_bit_for_bit(
    grafted: Path, language: Path
) -> None:
    model = load_policy(str(grafted)).model
    words = load_policy(str(language)).model
    assert bytes_of(arrays_of(model["language_model"])) == bytes_of(arrays_of(words))
    tower, given = arrays_of(model["vision_tower"]), tower_arrays(VISION)
    kernel = given["patch_embed.proj.weight"].transpose(0, 2, 3, 4, 1)
    given["patch_embed.proj.weight"] = kernel
    assert bytes_of(tower) == {name: array.tobytes() for name, array in given.items()}


def test_a_grafted_model_says_of_words_what_its_language_model_says(
    grafted: Path, language: Path
) -> None:
    tokens = mx.array([[5, 6, 7, 8]])
    seeing, words = load_policy(str(grafted)), load_policy(str(language))
    assert mx.array_equal(hidden_states(seeing.model, tokens), hidden_states(words.model, tokens))


def test_a_grafted_model_sees_which_picture_it_is_shown(grafted: Path) -> None:
    policy = load_policy(str(grafted))
    one, other = logits(policy, drawn(1)), logits(policy, drawn(2))
    assert mx.array_equal(one[:, :2], other[:, :2])
    assert float(mx.abs(one[:, -1] - other[:, -1]).max()) > 1e-3


def test_a_graft_repeats_bit_for_bit_and_follows_its_seed(
    vision: Path, language: Path, grafted: Path, tmp_path: Path
) -> None:
    again = graft(vision, language, tmp_path / "again")
    other = graft(vision, language, tmp_path / "other", seed=1)
    name = "model-projector.safetensors"
    assert (again / name).read_bytes() == (grafted / name).read_bytes()
    assert (other / name).read_bytes() != (grafted / name).read_bytes()


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_reloaded_graft_gives_the_same_logits_to_the_bit(
    kind: str, vision: Path, language: Path, tmp_path: Path
) -> None:
    folder = graft(vision, language, tmp_path / "grafted", kind)
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    one, other = (logits(load_policy(str(each)), drawn()) for each in (folder, moved))
    assert mx.array_equal(one, other)


def test_only_the_tower_of_the_vision_model_is_read(
    language: Path, tmp_path: Path, read_bytes: Callable[[], int]
) -> None:
    num_unread = 300_000_000
    vision = write_vision(tmp_path / "vision", extra_bytes=num_unread)
    tower = sum(array.nbytes for array in tower_arrays(VISION).values())
    files = sum(file.stat().st_size for file in language.iterdir())
    graft(vision, language, tmp_path / "warm")
    before = read_bytes()
    graft(vision, language, tmp_path / "grafted")
    assert read_bytes() - before < 3 * tower + 3 * files + HEADER_BYTES < num_unread / 10


def test_files_without_tensors_of_the_tower_need_not_be_there(
    vision: Path, language: Path, grafted: Path, tmp_path: Path
) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(vision, partial)
    (partial / "model.safetensors").rename(partial / "model-00001-of-00002.safetensors")
    names = [f"visual.{name}" for name in tower_arrays(VISION)]
    weight_map = dict.fromkeys(names, "model-00001-of-00002.safetensors")
    weight_map["lm_head.weight"] = "model-00002-of-00002.safetensors"
    (partial / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = graft(partial, language, tmp_path / "grafted")
    name = "model-vision_tower.safetensors"
    assert (found / name).read_bytes() == (grafted / name).read_bytes()


@pytest.mark.parametrize("beginning", ["model.visual.", "vision_tower."])
def test_a_tower_is_found_by_every_name_and_layout_it_is_stored_in(
    beginning: str, language: Path, grafted: Path, tmp_path: Path
) -> None:
    vision = write_vision(tmp_path / "vision", beginning=beginning)
    found = graft(vision, language, tmp_path / "grafted")
    name = "model-vision_tower.safetensors"
    assert (found / name).read_bytes() == (grafted / name).read_bytes()


def test_a_stopped_graft_leaves_nothing(vision: Path, language: Path, tmp_path: Path) -> None:
    def has_begun() -> bool:
        return any(tmp_path.iterdir())

    with stoppable(has_begun), pytest.raises(StoppedError):
        graft(vision, language, tmp_path / "grafted")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_with_the_tower_is_named(
    vision: Path, language: Path, tmp_path: Path
) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(vision, partial, ignore=shutil.ignore_patterns("*.safetensors"))
    weight_map = {"visual.merger.ln_q.weight": "model-00001-of-00002.safetensors"}
    (partial / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError, match=r"lacks model-00001-of-00002\.safetensors"):
        graft(partial, language, tmp_path / "grafted")


def test_a_folded_projector_gives_the_same_logits(grafted: Path, tmp_path: Path) -> None:
    fold(grafted, tmp_path / "folded", lambda *_: None)
    whole, folded = load_policy(str(grafted)), load_policy(str(tmp_path / "folded"))
    assert isinstance(folded.model, SeeingModel)
    assert "projector" not in folded.model
    one, other = logits(whole, drawn()), logits(folded, drawn())
    # Another order of the same sums in float32.
    assert float(mx.abs(one - other).max()) <= 5e-7 * max(1.0, float(mx.abs(one).max()))


def test_two_layers_cannot_be_folded(vision: Path, language: Path, tmp_path: Path) -> None:
    folder = graft(vision, language, tmp_path / "grafted", "mlp")
    with pytest.raises(ModelError, match="only a linear one can be folded"):
        fold(folder, tmp_path / "folded", lambda *_: None)


def test_a_matched_projector_makes_places_as_long_as_words(
    vision: Path, language: Path, tmp_path: Path
) -> None:
    lengths = {}
    for matched in (False, True):
        folder = graft(vision, language, tmp_path / f"matched {matched}", matched=matched)
        model = load_policy(str(folder)).model
        assert isinstance(model, SeeingModel)
        places = model.projector(model.features(drawn(height=224, width=224))[0])
        lengths[matched] = float(mx.linalg.norm(places, axis=-1).mean())
    words = mx.linalg.norm(model.language_model.model.embed_tokens.weight, axis=-1).mean()
    # Measured on other pictures than these; without a match it is far off.
    assert abs(lengths[True] / float(words) - 1) < 0.25
    assert abs(lengths[False] / float(words) - 1) > 1


def test_a_packed_language_model_keeps_its_packed_weights(vision: Path, tmp_path: Path) -> None:
    folder = write_language(tmp_path / "packed", hidden_size=64, intermediate_size=64)
    model, config = load_model(folder)
    model, config = quantize_model(model, config, 32, 4)
    (folder / "model.safetensors").unlink()
    save_weights(folder, model)
    save_config(config, folder / "config.json")
    found = load_policy(str(graft(vision, folder, tmp_path / "grafted"))).model
    words = load_policy(str(folder)).model
    assert bytes_of(arrays_of(found["language_model"])) == bytes_of(arrays_of(words))
    tokens = mx.array([[5, 6, 7]])
    assert mx.array_equal(hidden_states(found, tokens), hidden_states(words, tokens))


def rewritten(folder: Path, target: Path, **changes: object) -> Path:
    shutil.copytree(folder, target)
    file = target / "config.json"
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    return target


@pytest.mark.parametrize(
    ("which", "changes", "words"),
    [
        ("vision", {"vision_config": None}, "is a language model: it has no vision tower"),
        ("vision", {"model_type": "qwen3_vl"}, "only that of qwen2_5_vl is grafted"),
        ("vision", {"auto_map": {"AutoModel": "x.py"}}, "Python of its own"),
        ("vision", {"vision_config": {"depth": 2}}, "has no hidden_size"),
        ("language", {"vision_config": {}}, "is a vision model"),
        ("language", {"model_type": "grafted_qwen3"}, "is a vision model"),
        ("language", {"model_type": "llama"}, "towers are grafted on qwen3 alone"),
        ("language", {"model_file": "x.py"}, "Python of its own"),
        ("language", {"quantization_config": {"bits": 4}}, "packed by another program"),
        ("language", {"hidden_size": 32}, "do not fit their config.json"),
        ("language", {"vocab_size": 292}, "has no token <|vision_pad|>"),
    ],
)
def test_a_folder_that_cannot_be_grafted_is_refused_in_words(
    which: str,
    changes: dict[str, object],
    words: str,
    vision: Path,
    language: Path,
    tmp_path: Path,
) -> None:
    folders = {"vision": vision, "language": language}
    folders[which] = rewritten(folders[which], tmp_path / which, **changes)
    with pytest.raises(ModelError, match=words):
        graft(folders["vision"], folders["language"], tmp_path / "grafted")
    assert not (tmp_path / "grafted").exists()


@pytest.mark.parametrize(("template", "words"), [(ALWAYS, "always thinks"), (NEVER, "no switch")])
def test_a_language_model_whose_thinking_cannot_be_switched_is_refused(
    template: str, words: str, vision: Path, tmp_path: Path
) -> None:
    language = write_language(tmp_path / "language", template)
    with pytest.raises(ModelError, match=words):
        graft(vision, language, tmp_path / "grafted")


def test_the_two_models_cannot_change_places(vision: Path, language: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a vision model"):
        graft(vision, vision, tmp_path / "grafted")
    with pytest.raises(ModelError, match="no vision tower"):
        graft(language, language, tmp_path / "grafted")


def test_a_grafted_folder_loads_without_a_warning(
    grafted: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_policy(str(grafted))
    assert capfd.readouterr() == ("", "")


def test_a_grafted_model_reads_pictures_of_the_sizes_it_was_trained_with(grafted: Path) -> None:
    policy = load_policy(str(grafted), sight=SightSettings())
    assert policy.sight is not None
    assert (policy.sight.min_pixels, policy.sight.max_pixels) == (3136, 12845056)


def test_a_grafted_folder_that_names_python_is_not_loaded(grafted: Path, tmp_path: Path) -> None:
    folder = rewritten(grafted, tmp_path / "named", auto_map={"AutoModel": "model.py"})
    with pytest.raises(ModelError, match="Python of its own"):
        load_policy(str(folder))


def test_weights_that_do_not_fit_a_grafted_config_are_refused(
    grafted: Path, tmp_path: Path
) -> None:
    projector = {"kind": "mlp", "input_size": 40, "output_size": 24}
    folder = rewritten(grafted, tmp_path / "misfit", projector_config=projector)
    with pytest.raises(ModelError, match=r"do not fit its config\.json"):
        load_policy(str(folder))


def test_nothing_is_left_of_a_graft_that_the_disk_has_no_room_for(
    vision: Path, language: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(DiskFullError, match=r"0\.0 GB free"):
        graft(vision, language, tmp_path / "grafted")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_overwritten(
    vision: Path, language: Path, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        graft(vision, language, tmp_path / "there")


def test_the_parts_of_a_grafted_folder_are_those_it_was_made_of(grafted: Path) -> None:
    parts, projector = parts_of_grafted(grafted)
    assert {name.partition(".")[0] for name in parts.tensors} == {"vision_tower", "language_model"}
    assert [(name, each.shape) for name, each in projector.items()] == [
        ("projector.maps.0.weight", (24, 40))
    ]
    limited = parts.with_limits(3136, 7840)
    assert (limited.sight.min_pixels, limited.sight.max_pixels) == (3136, 7840)


def test_the_card_says_that_no_other_program_loads_it(grafted: Path) -> None:
    assert "Only OnPolicyDistill loads this folder" in (grafted / "README.md").read_text()


def test_a_question_with_a_picture_is_written_for_a_template_that_knows_words_alone(
    grafted: Path,
) -> None:
    policy = load_policy(str(grafted))
    assert isinstance(policy.model, SeeingModel)
    content: list[JsonValue] = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    message: dict[str, JsonValue] = {"role": "user", "content": content}
    ids = encode_picture_prompt(policy, [message], [drawn()], policy.model.book)
    words = "".join(policy.tokenizer.decode([i]) for i in ids if i < FIRST_PICTURE_ID)
    assert words == (
        "<|im_start|>user\n<|vision_start|><|vision_end|>What is it?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert sum(i >= FIRST_PICTURE_ID for i in ids) == drawn().num_places
    request = GenerationRequest([ids], [0], policy.stop_ids, policy.vocab_size, 3)
    (rollout,) = generate(policy.model, request)
    tokens = mx.array([rollout.token_ids])
    scored = policy.model(tokens)[0, :, : policy.vocab_size].astype(mx.float32)
    scored = scored - mx.logsumexp(scored, axis=-1, keepdims=True)
    again = [
        float(scored[len(ids) - 1 + place, token])
        for place, token in enumerate(rollout.completion_ids)
    ]
    assert again == pytest.approx(rollout.logprobs, abs=1e-5)
