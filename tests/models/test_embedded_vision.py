import json
from dataclasses import replace
from pathlib import Path

import pytest
from mlx_lm.utils import load_tokenizer

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.squares import INSTRUCTION
from OnPolicyDistill.models.embedded_vision import (
    Experts,
    TinyVisionShape,
    write_random_vision_model,
    write_vision_tokenizer,
)

SHAPE = TinyVisionShape(
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_size=8,
    intermediate_size=48,
    logit_width=304,
    tower_size=32,
    tower_layers=2,
    tower_heads=2,
    tower_intermediate_size=48,
    levels=(0,),
    grid=4,
)
MIXED = replace(SHAPE, experts=Experts(4, 2, 24))
QUESTION = {
    "role": "user",
    "content": [{"type": "image"}, {"type": "text", "text": f"How wide? {INSTRUCTION}"}],
}


def written(folder: Path, shape: TinyVisionShape = SHAPE, seed: int = 1) -> Path:
    folder.mkdir()
    write_vision_tokenizer(folder, ["How wide is the figure?", "user", "assistant"] * 4, 280)
    write_random_vision_model(folder, shape, seed)
    return folder


@pytest.mark.parametrize("shape", [SHAPE, MIXED], ids=["dense", "experts"])
def test_a_seed_gives_the_same_folder_twice_and_another_seed_other_weights(
    shape: TinyVisionShape, tmp_path: Path
) -> None:
    first, second = (written(tmp_path / name, shape) for name in ("first", "second"))
    for file in sorted(first.iterdir()):
        assert file.read_bytes() == (second / file.name).read_bytes()
    other = written(tmp_path / "other", shape, seed=2)
    name = "model.safetensors"
    assert (other / name).read_bytes() != (first / name).read_bytes()


def test_the_config_names_special_tokens_by_their_ids(tmp_path: Path) -> None:
    folder = written(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    tokenizer = load_tokenizer(folder)
    for key, token in {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }.items():
        assert tokenizer.encode(token, add_special_tokens=False) == [config[key]]
    assert len(tokenizer.get_vocab()) < config["text_config"]["vocab_size"]


def test_a_prompt_opens_the_thought_and_an_answer_continues_it(tmp_path: Path) -> None:
    template = ChatTemplate.load(written(tmp_path / "model"))
    prompt = template.render([QUESTION], add_generation_prompt=True)
    assert prompt == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
        "How wide? Put the answer in \\boxed{}.<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )
    answer = {"role": "assistant", "content": "<think>\nThree.\n</think>\n\n\\boxed{3}"}
    whole = template.render([QUESTION, answer], add_generation_prompt=False)
    assert whole == prompt + "Three.\n</think>\n\n\\boxed{3}<|im_end|>\n"
    later = template.render([QUESTION, answer, QUESTION], add_generation_prompt=True)
    assert "Three" not in later


def test_decoding_hides_markers_and_shows_the_end_of_a_thought(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(written(tmp_path / "model"))
    ids = tokenizer.encode("<|vision_start|><think>3</think>4<|im_end|>", add_special_tokens=False)
    assert len(ids) == 6
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>3</think>4"
