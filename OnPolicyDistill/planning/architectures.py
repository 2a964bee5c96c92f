"""Which of mlx-lm's architectures train and sample here, known from config.json alone.

`train` and `sample` are true only for what tests/architectures has seen on a tiny random model of
the architecture; docs/architectures.md is what it saw. The rest has a reason, which `opd check` and
the loaders say before a weight is read. A test compares the names with mlx-lm's own modules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.positions import position_problem

Asked = Literal["train", "sample"]

MLX_LM = "0.32.2"
_SOURCE = f"https://github.com/ml-explore/mlx-lm/blob/v{MLX_LM}/mlx_lm/models"

# Language models, by the name of mlx-lm's module.
_WORDS = """
Klear afm7 afmoe apertus baichuan_m1 bailing_hybrid bailing_moe bailing_moe_linear bailing_moe_v3
cohere cohere2 dbrx deepseek deepseek_v2 deepseek_v3 deepseek_v32 dots1 ernie4_5 ernie4_5_moe exaone
exaone4 exaone_moe falcon_h1 gear gemma gemma2 gemma3_text gemma4_text glm glm4 glm4_moe
glm4_moe_lite glm_moe_dsa gpt2 gpt_bigcode gpt_neox gpt_oss gptj granite granitemoe
granitemoehybrid helium hunyuan hunyuan_v1_dense internlm2 internlm3 iquestloopcoder jamba
kimi_k3 kimi_linear laguna lfm2 lfm2_moe lille-130m llama llama4 llama4_text longcat_flash
longcat_flash_ngram mamba mamba2 mellum mimo mimo_v2_flash minicpm minicpm3 minimax minimax_m3_vl
ministral3 mistral4 mixtral muse_glimmer nanbeige nanochat nemotron nemotron-nas nemotron_h olmo2
olmo3 olmo_hybrid olmoe openelm phi phi3 phimoe plamo plamo2 plamo3 qwen qwen2 qwen2_moe qwen3
qwen3_5 qwen3_5_moe qwen3_moe qwen3_next rwkv7 seed_oss smollm3 solar_open spark2_5 stablelm
starcoder2 step3p5 telechat3 youtu_llm
"""
# Models that see, of which mlx-lm reads the language model alone.
_WRAPPERS = """
gemma3 gemma4 kimi_k25 kimi_vl lfm2-vl mistral3 pixtral qwen2_vl qwen3_vl qwen3_vl_moe
"""
# Names in config.json that mlx-lm reads with the module of another name.
REMAPPED = {
    "deepseek_v41_text": "deepseek_v41",
    "falcon_mamba": "mamba",
    "gemma4_unified": "gemma4",
    "iquestcoder": "llama",
    "joyai_llm_flash": "deepseek_v3",
    "kimi_k2": "deepseek_v3",
    "llava": "mistral3",
    "minimax_m2": "minimax",
    "mistral": "llama",
    "phi-msft": "phixtral",
    "qwen2_5_vl": "qwen2_vl",
    "xverse": "llama",
}
# Models of our own making, read by models/grafted.py.
_OURS = ("grafted_qwen3",)
# What samples and does not train, and why.
_SAMPLED_ONLY = {
    "deepseek_v41": "mlx-lm balances its residual streams by a Metal kernel that has no gradient, "
    f"while training too ({_SOURCE}/deepseek_v41.py).",
}
# What neither trains nor samples, and why.
_REFUSED = {
    "bitnet": "mlx-lm multiplies its ternary weights by a Metal kernel that has no gradient "
    f"({_SOURCE}/bitlinear_layers.py).",
    "muse_spark": "its experts run by Metal's kernels alone, and no small model of it was tried "
    f"({_SOURCE}/muse_spark.py).",
    "olmo": "mlx-lm needs the package ai2-olmo for it, which is not installed "
    f"({_SOURCE}/olmo.py).",
    "phi3small": "mlx-lm sets logits of unused tokens to minus infinity by rows that may "
    f"not exist, which ends the process ({_SOURCE}/phi3small.py).",
    "phixtral": "mlx-lm's output head has a norm inside, so that there are no final hidden states "
    f"to compare ({_SOURCE}/phixtral.py).",
    "prism_hadamard_qwen35": "its weights exist packed by a rotation of their own alone, and no "
    f"small model of it was tried ({_SOURCE}/prism_hadamard_qwen35.py).",
    "recurrent_gemma": "mlx-lm's model of it never initializes itself as a module, so that its "
    f"weights cannot be frozen ({_SOURCE}/recurrent_gemma.py).",
    "talkie": "mlx-lm keeps its output head as a bare array with a learned factor "
    f"({_SOURCE}/talkie.py).",
}


# What trains on given completions and answers, but not on completions of its own, and why.
_OFF_POLICY = {
    "gemma3n": "mlx-lm computes keys of its own without a cache for layers that share those of "
    "others behind one, so that what samples is not the policy that is trained "
    f"({_SOURCE}/gemma3n.py).",
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """What one `model_type` can do here; `reason` says why not, None where it can do both.

    `train` is learning from given completions, `sample` is that and learning from its own.
    """

    model_type: str
    train: bool
    sample: bool
    reason: str | None = None


def _table() -> dict[str, Architecture]:
    names = (*_WORDS.split(), *_WRAPPERS.split(), *_OURS)
    seen = (Architecture(name, True, True) for name in names)
    off_policy = (Architecture(name, True, False, why) for name, why in _OFF_POLICY.items())
    sampled = (Architecture(name, False, True, why) for name, why in _SAMPLED_ONLY.items())
    refused = (Architecture(name, False, False, reason) for name, reason in _REFUSED.items())
    table = {each.model_type: each for each in (*seen, *off_policy, *sampled, *refused)}
    for name, module in REMAPPED.items():
        same = table[module]
        table[name] = Architecture(name, same.train, same.sample, same.reason)
    return dict(sorted(table.items(), key=lambda item: item[0].lower()))


ARCHITECTURES: Mapping[str, Architecture] = _table()


def find_architecture(model_type: str) -> Architecture:
    """What is known of a `model_type`, as config.json spells it."""
    unknown = f"mlx-lm {MLX_LM} has no model of this name."
    return ARCHITECTURES.get(model_type, Architecture(model_type, False, False, unknown))


def training_reason(model_type: str) -> str | None:
    """Why an architecture does not train here, None where it does."""
    found = find_architecture(model_type)
    return None if found.train else found.reason


def sampling_reason(model_type: str) -> str | None:
    """Why an architecture does not sample here, None where it does."""
    found = find_architecture(model_type)
    return None if found.sample else found.reason


def architecture_problem(
    config: Mapping[str, object], name: str, asked: Collection[Asked] = ()
) -> ModelError | None:
    """What keeps a model of this config.json from what is asked of it; it must at least load.

    Its rotary positions count: a scaling that mlx-lm does not know ends the loading.
    """
    model_type = str(config.get("model_type", ""))
    found = find_architecture(model_type)
    if "train" in asked and not found.train:
        what = "cannot be trained here"
    elif "sample" in asked and not found.sample:
        what = "cannot learn from its own completions"
    elif found.train or found.sample:
        return position_problem(config, name)
    else:
        what = "can neither answer nor grade here"
    return ModelError(
        f"{name} is of the architecture {model_type or 'without a name'}, which {what}: "
        f"{found.reason}",
        "Use a model of another family: opd models architectures lists them.",
    )
