"""A tokenizer's files: ids, special tokens and every way a folder names what ends a turn."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from OnPolicyDistill.datasets.tokenizer_files import load_tokenizer_files
from OnPolicyDistill.errors import ModelError


def write_tokenizer(folder, **settings):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken("<end>", special=True), AddedToken("<turn>")])
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, values in settings.items():
        (folder / f"{name}.json").write_text(json.dumps(values))
    return load_tokenizer_files(folder)


def test_ids_map_to_tokens_with_added_ones(tmp_path):
    files = write_tokenizer(tmp_path)
    assert files.strings == {0: "a", 1: "b", 2: "?", 3: "<end>", 4: "<turn>"}
    assert files.vocab_size == 5


def test_texts_are_counted_whole_whatever_padding_the_file_asks_for(tmp_path):
    files = write_tokenizer(tmp_path)
    assert files.encode("a b a<end>") == [0, 1, 0, 3]
    assert files.count("a b a b a") == 5
    assert files.count_all(["a b a b a", ""]) == [5, 0]


def test_the_end_ids_are_those_of_all_files_together(tmp_path):
    files = write_tokenizer(
        tmp_path,
        tokenizer_config={"eos_token": {"content": "<turn>"}, "pad_token": None},
        generation_config={"eos_token_id": [3, 0]},
        config={"eos_token_id": 1, "text_config": {"eos_token_id": 2}},
    )
    assert files.end_ids == {0, 1, 2, 3, 4}
    assert files.special == {"eos_token": "<turn>"}


def test_the_older_special_tokens_map_is_read_too(tmp_path):
    assert write_tokenizer(tmp_path, special_tokens_map={"eos_token": "<end>"}).end_ids == {3}


def test_a_missing_or_damaged_tokenizer_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        load_tokenizer_files(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 5}')
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged"):
        load_tokenizer_files(tmp_path)


def test_a_damaged_config_beside_it_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"generation_config\.json is no JSON object"):
        write_tokenizer(tmp_path, generation_config=[1])
