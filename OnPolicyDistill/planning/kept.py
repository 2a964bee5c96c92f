"""What a model's layers keep of a row while it samples, read from config.json alone.

Layers that attend to everything keep keys and values of every token, windows those of their last
tokens, and recurrences or convolutions a state that does not grow. Which layer is which, and the
widths, are those of mlx-lm's models; layers of architectures that are not named here attend to
everything.

Letters: D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice

BYTES = 2  # 16-bit keys, values and ends of convolutions
STATE_BYTES = 4  # recurrences are carried on in float32
# Columns that a buffer may have free or not have dropped yet: GROWTH_COLUMNS of models/row_layout.
SPARE_TOKENS = 256

# Count of a key of the config, with what mlx-lm takes where it is missing.
Count = Callable[[str, int], int]

# Families whose `layer_types` say where windows are, and the layers that are repeated without it.
TYPED_WINDOWS: dict[str, tuple[str, ...]] = {
    "afmoe": ("full",),
    "exaone_moe": ("full",),
    "gemma4": (*["sliding_attention"] * 4, "full"),
    "gpt_oss": ("sliding_attention", "full"),
    "laguna": ("full",),
    "llama": ("full",),
    "mellum": ("full",),
    "ministral3": ("full",),
    "mistral": ("full",),
    "muse_glimmer": ("full",),
    "olmo3": (*["sliding_attention"] * 3, "full"),
    "spark2_5": ("full",),
    "step3p5": ("full",),
}
# Families that repeat windows and one layer that attends to everything, and how many that is.
COUNTED_WINDOWS = {"cohere2": 4, "gemma3": 6}
# Families of which one layer in `full_attention_interval` attends, and the others carry a state.
INTERVALS = frozenset({"qwen3_next", "qwen3_5", "qwen3_5_moe"})
LATENT = frozenset({"deepseek_v2", "deepseek_v3", "glm4_moe_lite", "kimi_k2", "mistral4"})
ATTENDS, WINDOW, STATE = "attends", "window", "state"
# How configs of layers of both kinds spell them; layers that keep nothing have other names.
SPELLINGS = {
    **dict.fromkeys(("*", "attention", "full_attention"), ATTENDS),
    **dict.fromkeys(("M", "mamba", "linear_attention", "conv"), STATE),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of a row's keys, values and states; `window` is 0 where no layer has one."""

    token_bytes: int
    window_token_bytes: int
    window: int
    state_bytes: int

    def row_bytes(self, tokens: int) -> int:
        """What is kept of a row of so many tokens."""
        within = min(tokens, self.window + SPARE_TOKENS)
        return tokens * self.token_bytes + within * self.window_token_bytes + self.state_bytes

    def read_bytes(self, tokens: float) -> float:
        """What decoding the next token reads of it."""
        within = min(tokens, self.window)
        return tokens * self.token_bytes + within * self.window_token_bytes + self.state_bytes


def parse_kept(text: Mapping[str, object], num_layers: int, kv_width: int, count: Count) -> Kept:
    """What the layers of a language model's config keep.

    `kv_width` is the width of all key heads together, which values have too; `count` reads a
    number of the config.
    """
    family = str(text.get("model_type", "")).removesuffix("_text")
    layers = _layers(text, family, num_layers, count)
    window = count("sliding_window", 0) if WINDOW in layers else 0
    attends = 2 * kv_width
    if family in LATENT:
        attends = count("kv_lora_rank", 0) + count("qk_rope_head_dim", 0)
    if family == "gemma4":  # heads of layers that attend to everything are wider
        heads = count("num_global_key_value_heads", count("num_key_value_heads", 1))
        attends = 2 * heads * count("global_head_dim", 512)
    return Kept(
        token_bytes=BYTES * layers.count(ATTENDS) * attends,
        window_token_bytes=BYTES * layers.count(WINDOW) * 2 * kv_width,
        window=window,
        state_bytes=layers.count(STATE) * _state_bytes(text, family, count),
    )


def _layers(
    text: Mapping[str, object], family: str, num_layers: int, count: Count
) -> tuple[str, ...]:
    """What each layer keeps; layers that keep nothing are left out, and some keep two things."""
    types = _types(text)
    if family in TYPED_WINDOWS:
        own = types or tuple(islice(cycle(TYPED_WINDOWS[family]), num_layers))
        keeping = own[: num_layers - count("num_kv_shared_layers", 0)]
        return tuple(WINDOW if kind == "sliding_attention" else ATTENDS for kind in keeping)
    if family in COUNTED_WINDOWS:
        pattern = count("sliding_window_pattern", COUNTED_WINDOWS[family])
        return tuple(_every(pattern, WINDOW, num_layers))
    if family in INTERVALS:
        return tuple(_every(count("full_attention_interval", 4), STATE, num_layers))
    return _named(text, family, num_layers, types)


def _named(
    text: Mapping[str, object], family: str, num_layers: int, types: tuple[str, ...]
) -> tuple[str, ...]:
    """What each layer keeps, in families that each have a way of their own to say so."""
    everything = (ATTENDS,) * num_layers
    match family:
        case "exaone4":
            pattern = str(text.get("sliding_window_pattern") or "G")
            letters = islice(cycle(pattern), num_layers)
            return tuple(WINDOW if letter == "L" else ATTENDS for letter in letters)
        case "falcon_h1":
            return everything + (STATE,) * num_layers
        case "mamba2":
            return (STATE,) * num_layers
        case "granitemoehybrid":
            return tuple(SPELLINGS[kind] for kind in types if kind in SPELLINGS)
        case "lfm2" | "lfm2_moe":
            return _convolved(text, num_layers, types)
        case "nemotron_h":
            given = text.get("hybrid_override_pattern") or text.get("layers_block_type") or types
            blocks = list(given) if isinstance(given, str | list | tuple) else []
            return tuple(SPELLINGS[block] for block in blocks if block in SPELLINGS)
    return everything


def _convolved(
    text: Mapping[str, object], num_layers: int, types: tuple[str, ...]
) -> tuple[str, ...]:
    numbers = text.get("full_attn_idxs")
    if isinstance(numbers, list):
        return tuple(ATTENDS if layer in numbers else STATE for layer in range(num_layers))
    return tuple(ATTENDS if kind == "full_attention" else STATE for kind in types)


def _every(pattern: int, other: str, num_layers: int) -> list[str]:
    """The last layer of every so many attends to everything."""
    return [ATTENDS if (layer + 1) % pattern == 0 else other for layer in range(num_layers)]


def _types(text: Mapping[str, object]) -> tuple[str, ...]:
    types = text.get("layer_types")
    return tuple(map(str, types)) if isinstance(types, list) else ()


def _state_bytes(text: Mapping[str, object], family: str, count: Count) -> int:
    """A row's state in one layer: the end of a convolution, and a recurrence."""
    if family in INTERVALS:
        keys = count("linear_num_key_heads", 0) * count("linear_key_head_dim", 0)
        heads, width = count("linear_num_value_heads", 0), count("linear_value_head_dim", 0)
        ends = (count("linear_conv_kernel_dim", 4) - 1) * (2 * keys + heads * width)
        return BYTES * ends + STATE_BYTES * heads * width * count("linear_key_head_dim", 0)
    if family in ("lfm2", "lfm2_moe"):
        return BYTES * (count("conv_L_cache", 3) - 1) * count("hidden_size", 0)
    heads, width, size, groups, kernel = _mamba(family, count)
    ends = (kernel - 1) * (heads * width + 2 * groups * size)
    return BYTES * ends + STATE_BYTES * heads * width * size


def _mamba(family: str, count: Count) -> tuple[int, int, int, int, int]:
    """Heads, a head's width, the state's size, groups and the convolution's kernel."""
    match family:
        case "mamba2":
            names = ("num_heads", "head_dim", "state_size", "n_groups", "conv_kernel")
        case "nemotron_h":
            names = (
                "mamba_num_heads", "mamba_head_dim", "ssm_state_size", "n_groups", "conv_kernel",
            )  # fmt: skip
        case _:
            names = (
                "mamba_n_heads", "mamba_d_head", "mamba_d_state", "mamba_n_groups", "mamba_d_conv",
            )  # fmt: skip
    heads, width, size, groups, kernel = (count(name, 0) for name in names)
    return heads, width, size, groups, kernel
