"""Chat templates: the text transformers would write, and words where a template fails."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.registry import find_model

TEMPLATES = Path(__file__).parents[1] / "data" / "chat_templates"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "a"}

CONVERSATIONS = {
    "a question": [{"role": "user", "content": "Hi"}],
    "a system message": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Ist 1 < 2 & 'wahr'?\n "},
    ],
    "an answer": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}],
    "reasoning in history": [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nTwo"},
        {"role": "user", "content": "3"},
    ],
    "reasoning in the last answer": [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nTwo"},
    ],
    "reasoning under another name": [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "Two", "reasoning": "because", "tool_calls": None},
    ],
    "a long exchange": [
        {"role": role, "content": f"{role} {turn}"}
        for turn in range(20)
        for role in ("user", "assistant")
    ],
}


def write_folder(folder, template, special=None):
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(special or SPECIAL))
    return ChatTemplate.load(folder)


def published_like(name):
    return (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def transformers_tokenizer():
    words = Tokenizer(models.WordLevel({"a": 0, "<s>": 1, "</s>": 2}, unk_token="a"))
    return PreTrainedTokenizerFast(tokenizer_object=words, **SPECIAL)


@pytest.mark.parametrize("name", sorted(file.stem for file in TEMPLATES.glob("*.jinja")))
@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
@pytest.mark.parametrize("add_generation_prompt", [True, False])
@pytest.mark.parametrize("thinking", [{}, {"enable_thinking": True}, {"enable_thinking": False}])
def test_every_family_is_written_as_transformers_writes_it(
    name, conversation, add_generation_prompt, thinking, transformers_tokenizer, tmp_path
):
    template = write_folder(tmp_path, published_like(name))
    expected = transformers_tokenizer.apply_chat_template(
        conversation,
        chat_template=template.source,
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
        **thinking,
    )
    assert template.render(conversation, add_generation_prompt, **thinking) == expected


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("qwen2.5", "qwen2.5-7b"),
        ("qwen3", "qwen3-8b"),
        ("qwen3-instruct-2507", "qwen3-4b-instruct-2507"),
        ("qwen3-thinking-2507", "qwen3-4b-thinking-2507"),
        ("phi-3.5", "phi-3.5-mini"),
        ("r1-distill", "deepseek-r1-distill-qwen-7b"),
    ],
)
def test_the_opening_ends_with_the_header_the_registry_knows(name, alias, tmp_path):
    template = write_folder(tmp_path, published_like(name))
    assert template.opening().endswith(find_model(alias).chat.header)


def test_thinking_off_opens_an_empty_thought_that_belongs_to_the_prompt(tmp_path):
    template = write_folder(tmp_path, published_like("qwen3"))
    assert template.opening(enable_thinking=False).endswith("<think>\n\n</think>\n\n")
    assert "<think>" not in template.opening()


def test_a_template_in_the_tokenizer_config_is_found(tmp_path):
    settings = {"chat_template": "{{ messages[0].content }}{{ eos_token }}", "eos_token": "!"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert ChatTemplate.load(tmp_path).render([{"role": "user", "content": "x"}]) == "x!"


def test_of_named_templates_the_default_is_taken(tmp_path):
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert ChatTemplate.load(tmp_path).render([]) == "yes"


def test_the_jinja_file_wins_over_the_tokenizer_config(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "old"}))
    (tmp_path / "chat_template.jinja").write_text("new")
    assert ChatTemplate.load(tmp_path).render([]) == "new"


def test_empty_keys_of_a_message_are_as_if_they_were_not_there(tmp_path):
    template = write_folder(tmp_path, "{{ messages[0].tool_calls is defined }}")
    assert template.render([{"role": "user", "content": "x", "tool_calls": None}]) == "False"


def test_special_tokens_are_read_from_either_form_of_the_config(tmp_path):
    special = {"bos_token": {"content": "<b>", "special": True}, "eos_token": "<e>"}
    template = write_folder(tmp_path, "{{ bos_token }}{{ eos_token }}{{ pad_token }}", special)
    assert template.render([]) == "<b><e>"


@pytest.mark.parametrize("settings", ["", '{"chat_template": null}', '{"chat_template": []}'])
def test_a_folder_without_template_is_refused_in_words(settings, tmp_path):
    if settings:
        (tmp_path / "tokenizer_config.json").write_text(settings)
    with pytest.raises(ModelError, match="has no chat template"):
        ChatTemplate.load(tmp_path)


def test_a_broken_template_is_the_models_fault(tmp_path):
    template = write_folder(tmp_path, "{% for %}")
    with pytest.raises(ModelError, match="no valid template"):
        template.render([{"role": "user", "content": "x"}])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[5].content }}", "no element 5"),
        ("{{ 1 // 0 }}", "zero"),
        ("{{ messages[0].content + 1 }}", "str"),
        ("{{ missing.attribute }}", "undefined"),
    ],
)
def test_a_conversation_that_the_template_refuses_is_the_datas_fault(source, reason, tmp_path):
    template = write_folder(tmp_path, source)
    with pytest.raises(DatasetError, match=reason):
        template.render([{"role": "user", "content": "x"}])


def test_a_template_without_end_is_the_models_fault(tmp_path):
    source = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    with pytest.raises(ModelError, match="does not come to an end"):
        write_folder(tmp_path, source).render([])


def test_a_giant_template_is_refused(tmp_path):
    with pytest.raises(ModelError, match="longer than 1 MB"):
        write_folder(tmp_path, "x" * 1_000_001)


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is damaged"):
        ChatTemplate.load(tmp_path)
