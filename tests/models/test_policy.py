from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import cohere
from mlx_lm.tuner.lora import LoRALinear

from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.models import layout
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import (
    Policy,
    decode,
    encode_prompt,
    hidden_states,
    vocabulary_head,
)

QUESTION = [{"role": "user", "content": "the third of March 1998"}]


def head_error(policy: Policy) -> float:
    tokens = mx.array([encode_prompt(policy, QUESTION)])
    hidden = hidden_states(policy.model, tokens)
    ours = vocabulary_head(policy).logits(hidden[0])
    own = policy.model(tokens)[0, :, : policy.vocab_size]
    assert ours.shape == own.shape
    return float(mx.abs(ours - own).max())


def test_head_and_hidden_states_give_the_models_own_logits_when_tied(tied_folder: Path) -> None:
    assert head_error(load_policy(str(tied_folder))) < 1e-5


def test_head_and_hidden_states_give_the_models_own_logits_when_untied(
    untied_folder: Path,
) -> None:
    assert head_error(load_policy(str(untied_folder))) < 1e-5


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("mode", ["affine", "mxfp8"])
def test_quantized_heads_give_the_models_own_logits(
    tied: bool, mode: str, tied_folder: Path, untied_folder: Path
) -> None:
    policy = load_policy(str(tied_folder if tied else untied_folder))
    nn.quantize(policy.model, mode=mode)
    assert vocabulary_head(policy).quantization is not None
    assert head_error(policy) < 1e-4


def test_a_heads_hidden_gradient_is_the_one_autodiff_finds(untied_folder: Path) -> None:
    policy = load_policy(str(untied_folder))
    head = vocabulary_head(policy)
    hidden = mx.random.normal((3, 64), key=mx.random.key(0))
    upstream = mx.random.normal((3, policy.vocab_size), key=mx.random.key(1))
    automatic = mx.grad(lambda states: (head.logits(states) * upstream).sum())(hidden)
    assert mx.allclose(automatic, head.hidden_gradient(upstream, head.logits(hidden)), atol=1e-5)


def test_an_adapter_on_the_head_is_refused(untied_folder: Path) -> None:
    policy = load_policy(str(untied_folder))
    policy.model.lm_head = LoRALinear.from_base(policy.model.lm_head)
    with pytest.raises(ModelError, match="head has an adapter"):
        vocabulary_head(policy)


def test_a_family_whose_logits_are_not_what_is_known_of_it_is_refused(
    tied_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(layout._MAPS, "cohere")
    arguments = cohere.ModelArgs(
        model_type="cohere",
        hidden_size=32,
        num_hidden_layers=1,
        intermediate_size=32,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=320,
        logit_scale=0.0625,
    )
    policy = replace(load_policy(str(tied_folder)), model=cohere.Model(arguments))
    with pytest.raises(ModelError, match="not known of its architecture cohere"):
        vocabulary_head(policy)


class Wordless(nn.Module):
    """Layers without embeddings before them."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(2, 2))

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.model.layers)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ModelError, match="not laid out"):
        hidden_states(Wordless(), mx.array([[1]]))


def test_right_padding_leaves_hidden_states_of_real_tokens_alone(tied_folder: Path) -> None:
    policy = load_policy(str(tied_folder))
    ids = encode_prompt(policy, QUESTION)
    alone = hidden_states(policy.model, mx.array([ids]))
    padded = hidden_states(policy.model, mx.array([ids + [0] * 7]))
    assert mx.allclose(alone, padded[:, : len(ids)], atol=1e-6)


def test_a_prompt_ends_with_the_header_of_the_assistants_turn(tied_folder: Path) -> None:
    policy = load_policy(str(tied_folder))
    text = policy.tokenizer.decode(encode_prompt(policy, QUESTION))
    assert text == ("<|im_start|>user\nthe third of March 1998<|im_end|>\n<|im_start|>assistant\n")


def test_decoding_leaves_the_end_token_out(tied_folder: Path) -> None:
    policy = load_policy(str(tied_folder))
    ids = policy.tokenizer.encode("1998-03-03<|im_end|>", add_special_tokens=False)
    assert ids[-1] in policy.stop_ids
    assert decode(policy, ids) == "1998-03-03"


def test_messages_a_template_refuses_are_said_in_words(own_folder: Path) -> None:
    (own_folder / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    policy = load_policy(str(own_folder))
    with pytest.raises(DatasetError, match="roles must alternate"):
        encode_prompt(policy, QUESTION)


def test_our_renderer_writes_what_transformers_writes(tied_folder: Path) -> None:
    policy = load_policy(str(tied_folder))
    theirs = policy.tokenizer.apply_chat_template(
        QUESTION, add_generation_prompt=True, tokenize=False
    )
    assert policy.chat_template.render(QUESTION) == theirs
