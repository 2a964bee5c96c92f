import mlx.core as mx
import pytest

from OnPolicyDistill.models.kv_cache import RowCache
from OnPolicyDistill.models.layer_caches import CacheGroup, Layer, LayerCache
from OnPolicyDistill.models.row_layout import GROWTH_COLUMNS
from OnPolicyDistill.models.state_cache import StateCache
from OnPolicyDistill.planning.dimensions import parse_dimensions
from OnPolicyDistill.planning.kept import SPARE_TOKENS, Kept
from tests.architectures.tiny import WINDOW, tiny_config, tiny_model

TOKENS = 20
# One of each way to say in a config which layers keep what.
ARCHITECTURES = (
    "cohere2 deepseek_v3 exaone4 falcon_h1 gemma3_text gemma4_text gpt_oss granitemoehybrid lfm2 "
    "llama mamba2 mistral nemotron_h olmo3 qwen3_5 qwen3_next"
)


def leaves(layers: list[Layer]) -> list[LayerCache | StateCache]:
    found: list[LayerCache | StateCache] = []
    for layer in layers:
        found += leaves(list(layer.caches)) if isinstance(layer, CacheGroup) else [layer]
    return found


def bytes_of(layer: LayerCache | StateCache) -> int:
    """What a real model would keep: recurrences in float32, all else in 16-bit."""
    if isinstance(layer, StateCache):
        return sum(array.size * (4 if array.ndim == 4 else 2) for array in layer.state)
    keys, values = layer.keys_and_values()
    return 2 * (keys.size + values.size)


@pytest.mark.parametrize("architecture", ARCHITECTURES.split())
def test_the_plan_counts_what_a_model_keeps_of_a_row(architecture: str) -> None:
    model = tiny_model(architecture)
    cache = RowCache.empty(model, 1)
    for ids in (range(1, TOKENS), [TOKENS]):
        cache.read(lambda ids, caches: model(ids, cache=caches), mx.array([list(ids)]))
    mx.eval(cache.state)
    kept = parse_dimensions(tiny_config(architecture), architecture).kept
    assert kept.read_bytes(TOKENS) == sum(map(bytes_of, leaves(cache.layers)))


def test_a_window_stops_growing_and_a_state_never_grows() -> None:
    kept = Kept(token_bytes=0, window_token_bytes=10, window=WINDOW, state_bytes=7)
    assert kept.row_bytes(5) == 57
    assert kept.row_bytes(5000) == kept.row_bytes(6000) == 10 * (WINDOW + SPARE_TOKENS) + 7
    assert SPARE_TOKENS == GROWTH_COLUMNS


def test_layers_are_known_by_each_of_their_spellings() -> None:
    config = tiny_config("nemotron_h")
    names = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
    letters = config.pop("hybrid_override_pattern")
    assert isinstance(letters, list)
    spelled = {**config, "layers_block_type": [names[letter] for letter in letters]}
    by_letter = parse_dimensions(tiny_config("nemotron_h"), "letters").kept
    assert parse_dimensions(spelled, "words").kept == by_letter
    assert by_letter.state_bytes > 0
