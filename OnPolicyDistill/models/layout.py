"""Where a language model's body ends and its head begins, and what happens to logits behind it.

mlx-lm's families name their parts as they like: `model` or `backbone` or `transformer`, a final
`norm` or `embedding_norm`, `lm_head` or `output` or none. The parts are therefore found by what
they are: the body holds the layers, the head is a linear layer beside the body, and where there is
none the body's embeddings are the head. A few families have their head inside the body; there the
head hands over what it is given instead of computing logits.

What a family does to its logits cannot be found that way, so it is written down (`_MAPS`), and
`gives_own_logits` compares the result with the model's own.

Letters: B rows, T length, D hidden width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.head import Quantization, VocabularyHead

EMBEDDINGS = (nn.Embedding, nn.QuantizedEmbedding, LoRAEmbedding)
LINEAR = (nn.Linear, nn.QuantizedLinear, LoRALinear)

# Families whose body computes the logits itself, with the path of the layer that does so; the
# second is for weights that are tied.
_INSIDE = {
    "gemma3n": ("model.language_model.embed_tokens",),
    "gpt_neox": ("model.embed_out",),
    "lille-130m": ("transformer.tok_embeddings",),
    "olmo": ("model.transformer.ff_out", "model.transformer.wte"),
}
# Families that make a head of their own also where they use the embeddings.
_UNUSED_HEAD = ("helium",)


@dataclass(frozen=True, slots=True)
class LogitMap:
    """What a family does to a logit z after the head: c * tanh(scale * z / c) with a cap c."""

    scale: float = 1.0
    cap: float | None = None


# By the name of mlx-lm's module, what its `Model.__call__` does behind the head.
_MAPS: dict[str, Callable[[nn.Module], LogitMap]] = {
    # Cohere's Command models shrink logits by a constant of the config.
    "cohere": lambda model: LogitMap(model.args.logit_scale),
    "cohere2": lambda model: LogitMap(model.args.logit_scale),
    # Falcon-H1 (muP): with a head of its own the factor is folded into the weights while loading.
    "falcon_h1": lambda model: LogitMap(_falcon_scale(model)),
    # Gemma 2, 3n and 4 keep logits within a soft cap; so do the two below them.
    "gear": lambda model: LogitMap(cap=model.args.final_logit_softcapping or None),
    "gemma2": lambda model: LogitMap(cap=model.final_logit_softcapping),
    "gemma3n": lambda model: LogitMap(cap=model.model.language_model.final_logit_softcapping),
    "gemma4_text": lambda model: LogitMap(cap=model.final_logit_softcapping),
    "nanochat": lambda model: LogitMap(cap=15.0),
    "recurrent_gemma": lambda model: LogitMap(cap=model.args.logits_soft_cap or None),
    # IBM's Granite divides logits by a constant of the config.
    "granite": lambda model: LogitMap(1 / model.logits_scaling),
    "granitemoe": lambda model: LogitMap(1 / model.logits_scaling),
    "granitemoehybrid": lambda model: LogitMap(1 / model.logits_scaling),
    # MiniCPM (muP) shrinks the states before a head of its own, which has no bias.
    "minicpm": lambda model: LogitMap(_minicpm_scale(model)),
    "minicpm3": lambda model: LogitMap(_minicpm_scale(model)),
    # Muse multiplies and then caps.
    "muse_glimmer": lambda model: LogitMap(
        model.args.output_multiplier, model.args.final_logit_softcapping
    ),
    "muse_spark": lambda model: LogitMap(
        model.args.text.output_multiplier, model.args.text.final_logit_softcapping
    ),
}


def text_model(model: nn.Module) -> nn.Module:
    """The language model inside a vision model, else the model itself."""
    inner = model.get("language_model")
    return inner if isinstance(inner, nn.Module) else model


def architecture_of(model: nn.Module) -> str:
    """The name of the module that defines a language model, such as `gemma2`."""
    return type(text_model(model)).__module__.rsplit(".", 1)[-1]


def body(model: nn.Module) -> nn.Module:
    """Everything of a language model below its output head, the part that holds the layers.

    Raises:
        ModelError: there is none.
    """
    layers: list[nn.Module] = list(model.layers)
    part = _holder(text_model(model), layers[0])
    while part is not None and not callable(part):
        part = _holder(part, layers[0])  # a mere container
    if part is None or not _has_embeddings(part):
        raise _laid_out_otherwise(model)
    return part


def _has_embeddings(part: nn.Module) -> bool:
    return any(isinstance(each, EMBEDDINGS) for each in _by_breadth(part))


def body_states(model: nn.Module, tokens: mx.array, cache: Sequence[object] | None) -> mx.array:
    """Final normed hidden states of a language model: tokens (B, T) -> (B, T, D).

    Raises:
        ModelError: the architecture is not laid out as body and head.
    """
    states: mx.array
    if architecture_of(model) not in _INSIDE:
        states = body(model)(tokens, cache=cache)
        return states
    with _handing_over(head_layer(model)) as given:
        text_model(model)(tokens, cache=cache)
    (states,) = given
    return states


def head_layer(model: nn.Module) -> nn.Module:
    """The layer that makes logits of hidden states, the embeddings where they are tied.

    Raises:
        ModelError: there is none where it should be.
    """
    inner, name = text_model(model), architecture_of(model)
    if name in _INSIDE:
        found = (_at(inner, path) for path in _INSIDE[name])
        return _first((layer for layer in found if layer is not None), model)
    heads = [part for part in inner.children().values() if isinstance(part, LINEAR)]
    if heads and not (name in _UNUSED_HEAD and inner.args.tie_word_embeddings):
        return heads[0]
    # Word embeddings come before those of positions.
    parts: list[nn.Module] = list(body(model).children().values())
    return _first((each for each in parts if isinstance(each, EMBEDDINGS)), model)


def _first(found: Iterator[nn.Module], model: nn.Module) -> nn.Module:
    layer = next(found, None)
    if layer is None:
        raise _laid_out_otherwise(model)
    return layer


def _laid_out_otherwise(model: nn.Module) -> ModelError:
    return ModelError(
        f"The architecture {architecture_of(model)} is not laid out as embeddings, layers, final "
        "norm and output head.",
        "Use a model of a family that opd models architectures lists as trainable.",
    )


def output_head(model: nn.Module, vocab_size: int) -> VocabularyHead:
    """The output projection as it stands, without comparing it with the model's logits.

    Inside a differentiated function it carries gradients to the head's weights.

    Raises:
        ModelError: the head has an adapter, or the architecture is laid out differently.
    """
    layer = head_layer(model)
    if isinstance(layer, LoRALinear | LoRAEmbedding):
        raise ModelError(
            "The output head has an adapter; it must stay frozen while distilling.",
            "Take lm_head and embed_tokens out of the LoRA targets.",
        )
    quantization = None
    if isinstance(layer, nn.QuantizedLinear | nn.QuantizedEmbedding):
        quantization = Quantization(
            layer.scales, layer.get("biases"), layer.group_size, layer.bits, layer.mode
        )
    behind = logit_map(model)
    return VocabularyHead(
        layer.weight, vocab_size, layer.get("bias"), quantization, behind.scale, behind.cap
    )


def logit_map(model: nn.Module) -> LogitMap:
    """What the family does to its logits after the head, as far as it is written down."""
    known = _MAPS.get(architecture_of(model))
    return LogitMap() if known is None else known(text_model(model))


def _falcon_scale(model: nn.Module) -> float:
    args = model.args
    is_tied: bool = args.tie_word_embeddings
    scale: float = args.lm_head_multiplier / args.embedding_multiplier
    return scale if is_tied else 1.0


def _minicpm_scale(model: nn.Module) -> float:
    args = model.args
    is_tied: bool = args.tie_word_embeddings
    scale: float = args.dim_model_base / args.hidden_size
    return 1.0 if is_tied else scale


def _holder(model: nn.Module, layer: nn.Module) -> nn.Module | None:
    """The child in which a layer is."""
    for part in model.children().values():
        if isinstance(part, nn.Module) and any(each is layer for each in _by_breadth(part)):
            return part
    return None


def _by_breadth(module: nn.Module) -> Iterator[nn.Module]:
    """A module and all inside it, the outer ones first: what is looked for is mostly near.

    Every pass asks where a model's body is, and a walk over all modules is slower than the pass of
    a small model.
    """
    waiting = deque([module])
    while waiting:
        each = waiting.popleft()
        yield each
        inside: list[tuple[str, object]] = tree_flatten(each.children(), is_leaf=_is_module)  # type: ignore[assignment]
        waiting.extend(part for _, part in inside if isinstance(part, nn.Module))


def _is_module(value: object) -> bool:
    return isinstance(value, nn.Module)


def _at(model: nn.Module, path: str) -> nn.Module | None:
    part: nn.Module | None = model
    for name in path.split("."):
        part = None if part is None else part.get(name)
    return part


@contextmanager
def _handing_over(head: nn.Module) -> Iterator[list[mx.array]]:
    """Let a head collect the states that it is given, and give one empty logit for each."""
    given: list[mx.array] = []

    def collect(_self: nn.Module, states: mx.array) -> mx.array:
        given.append(states)
        return mx.zeros((*states.shape[:-1], 1))

    own = type(head)
    method = "__call__" if isinstance(head, LINEAR) else "as_linear"
    head.__class__ = type(own.__name__, (own,), {method: collect})
    try:
        yield given
    finally:
        head.__class__ = own
