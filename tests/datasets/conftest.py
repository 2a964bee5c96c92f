"""A tokenizer whose tokens are words, so that counts can be read off."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from OnPolicyDistill.datasets.tokenizer_files import load_tokenizer_files


@pytest.fixture
def word_tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return load_tokenizer_files(folder)
