"""Model folders with everything but weights of any size: enough for plans and pair checks."""

import json
import math
import struct

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from OnPolicyDistill.planning.dimensions import parse_dimensions
from OnPolicyDistill.planning.model_folders import expected_shapes

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
OPTIONAL = CHATML.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
)
CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 128,
    "vocab_size": 128,
    "tie_word_embeddings": True,
}
END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"


@pytest.fixture
def model_folder(tmp_path):
    """Builds model folders; every argument is one difference between two of them."""

    def build(
        name,
        words=("a", "b", "c", "What", "is", "?"),
        added=(END_OF_TEXT, "<|im_start|>", END_OF_TURN),
        ends=(END_OF_TURN,),
        template=CHATML,
        config=CONFIG,
    ):
        folder = tmp_path / name
        folder.mkdir()
        vocabulary = {word: place for place, word in enumerate(words)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.add_special_tokens([AddedToken(token, special=True) for token in added])
        tokenizer.save(str(folder / "tokenizer.json"))
        eos_token, *end_ids = ends
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos_token}))
        (folder / "config.json").write_text(json.dumps(config))
        if end_ids:
            generation = {"eos_token_id": end_ids}
            (folder / "generation_config.json").write_text(json.dumps(generation))
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        write_weights(folder / "model.safetensors", config)
        return folder

    return build


def write_weights(file, config):
    """A safetensors file of zeros with the matrices that a config asks for."""
    text = {**config, **config.get("text_config", {})}
    dimensions = parse_dimensions({**CONFIG, **text}, "a test")
    header, end = {}, 0
    for name, shape in expected_shapes(dimensions).items():
        num_bytes = 2 * math.prod(shape)
        offsets = [end, end + num_bytes]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": offsets}
        end += num_bytes
    written = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(written)) + written + bytes(end))
