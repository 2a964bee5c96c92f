"""Prompt files: what is accepted, what is refused, and that the line is always named."""

import json

import pytest

from OnPolicyDistill.datasets.prompts import load_prompts, read_prompts
from OnPolicyDistill.datasets.text_lines import MAX_LINE_BYTES
from OnPolicyDistill.errors import DatasetError


def write(tmp_path, content, name="prompts.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_prompts_messages_images_and_further_keys_are_kept(tmp_path):
    lines = [
        {"prompt": "1+1?", "answer": 2, "grader": "boxed", "topic": "sums"},
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
            ]
        },
        {"prompt": "What is this?", "images": ["a.png"]},
    ]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)))
    prompts = load_prompts(path, sees=True).prompts
    assert [prompt.index for prompt in prompts] == [0, 1, 2]
    assert prompts[0].messages == ({"role": "user", "content": "1+1?"},)
    assert (prompts[0].answer, prompts[0].grader) == ("2", "boxed")
    assert prompts[0].extras["topic"] == "sums"
    assert (prompts[1].text, prompts[1].answer, prompts[1].grader) == ("Hi", None, "exact_match")
    assert [picture.file for picture in prompts[2].pictures] == [tmp_path / "a.png"]


def test_byte_order_mark_crlf_and_blank_lines_are_tolerated_and_lines_still_counted(tmp_path):
    content = b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n   \n{"prompt": "b"}'
    prompts = load_prompts(write(tmp_path, content)).prompts
    assert [(prompt.line, prompt.text) for prompt in prompts] == [(1, "a"), (4, "b")]


def test_the_words_of_a_content_list_are_its_text_parts(tmp_path):
    content = [{"type": "image", "image": "a.png"}, {"type": "text", "text": "Count them."}]
    line = json.dumps({"messages": [{"role": "user", "content": content}]})
    assert load_prompts(write(tmp_path, line), sees=True).prompts[0].text == "Count them."


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "broken_json"),
        (b'{"prompt": NaN}', "no_number"),
        (b'{"prompt": "a", "prompt": "b"}', "duplicate_key"),
        (b'{"prompt": "a", "x": 1e999}', "huge_number"),
        (b'\xef\xbb\xbf{"prompt": "a"}', "inner_mark"),
        (b'{"prompt": "a"}\r{"prompt": "b"}', "cr_lines"),
        (b"[" * 100_000, "broken_json"),
        (b'{"prompt": 1' + b"0" * 5000 + b"}", "huge_number"),
        (b'"a prompt"', "not_object"),
        (b'[{"prompt": "a"}]', "not_object"),
        (b"null", "not_object"),
        (b"{}", "missing_prompt"),
        (b'{"question": "a"}', "missing_prompt"),
        (b'{"prompt": null}', "missing_prompt"),
        (b'{"prompt": 5}', "wrong_type"),
        (b'{"prompt": ["a"]}', "wrong_type"),
        (b'{"prompt": " \\n"}', "empty_prompt"),
        (b'{"prompt": "a", "messages": []}', "two_prompts"),
        (b'{"messages": []}', "wrong_type"),
        (b'{"messages": "a"}', "wrong_type"),
        (b'{"messages": [{"content": "a"}]}', "wrong_type"),
        (b'{"messages": [{"role": "user"}]}', "wrong_type"),
        (b'{"messages": [{"role": "user", "content": ""}]}', "empty_prompt"),
        (b'{"messages": [{"role": "assistant", "content": "a"}]}', "ends_with_answer"),
        (b'{"prompt": "a", "images": {"file": "a.png"}}', "wrong_type"),
        (b'{"prompt": "a", "images": [1]}', "wrong_type"),
        (b'{"prompt": "a", "answer": {"x": 1}}', "wrong_type"),
        (b'{"prompt": "a", "grader": "number"}', "unknown_grader"),
        (b'{"prompt": "a", "grader": ["boxed"]}', "unknown_grader"),
        (b'{"prompt": "\xff"}', "encoding"),
        (b'{"prompt": "\\ud800"}', "encoding"),
        (b'{"prompt": "a\0"}', "nul"),
        (b'{"prompt": "' + b"a" * MAX_LINE_BYTES + b'"}', "giant_line"),
    ],
)
def test_an_unusable_line_is_named_and_the_lines_around_it_are_still_read(line, code, tmp_path):
    good = b'{"prompt": "good"}\n'
    path = write(tmp_path, good + line + b"\n" + good)
    first, bad, last = read_prompts(path)
    assert (bad.code, bad.line) == (code, 2)
    assert bad.message.endswith(".")
    assert bad.fix.endswith(".")
    assert (first.index, last.index, last.line) == (0, 1, 3)
    with pytest.raises(DatasetError, match=r"prompts\.jsonl, line 2: "):
        load_prompts(path)


def test_a_utf16_file_is_read_as_what_it_says(tmp_path):
    text = '{"prompt": "ä"}\r\n{"prompt": "b"}\n'
    marked = b"\xfe\xff" + text.encode("utf-16-be")
    for data in (text.encode("utf-16"), marked):
        assert [prompt.text for prompt in load_prompts(write(tmp_path, data)).prompts] == ["ä", "b"]
    with pytest.raises(DatasetError, match="damaged UTF-16"):
        load_prompts(write(tmp_path, marked + b"\xd8\x00\x00"))


def test_the_first_error_is_told_and_the_others_counted(tmp_path):
    path = write(tmp_path, '{"prompt": "a"}\n{\n{}\n7\n')
    with pytest.raises(DatasetError, match=r"line 2: .* 2 more lines have problems") as caught:
        load_prompts(path)
    assert (caught.value.line, caught.value.path) == (2, path)


def test_the_advice_names_the_key_another_tool_uses(tmp_path):
    with pytest.raises(DatasetError, match='Rename "question" to "prompt"'):
        load_prompts(write(tmp_path, '{"question": "a"}'))


@pytest.mark.parametrize("content", ["", "\n \r\n"])
def test_an_empty_file_is_refused(content, tmp_path):
    with pytest.raises(DatasetError, match="has no prompts"):
        load_prompts(write(tmp_path, content))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        load_prompts(tmp_path / "none.jsonl")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_prompts(tmp_path)


def test_the_content_hash_ignores_formatting_and_sees_every_word(tmp_path):
    plain = load_prompts(write(tmp_path, '{"prompt": "a", "answer": 1}\n', "a"))
    spaced = load_prompts(write(tmp_path, '\n{ "answer" : 1, "prompt" : "a" }\r\n', "b"))
    other = load_prompts(write(tmp_path, '{"prompt": "a", "answer": 2}\n', "c"))
    assert plain.content_hash == spaced.content_hash != other.content_hash
    assert (len(plain), plain.num_answers) == (1, 1)


def test_every_line_of_plain_text_is_a_prompt(tmp_path):
    found = load_prompts(write(tmp_path, "the fourth of March\n\n  noon \n", "mine.txt")).prompts
    assert [(prompt.line, prompt.text, prompt.answer) for prompt in found] == [
        (1, "the fourth of March", None),
        (3, "noon", None),
    ]
    assert found[0].messages == ({"role": "user", "content": "the fourth of March"},)


def test_a_column_called_text_is_still_not_taken_for_a_prompt(tmp_path):
    with pytest.raises(DatasetError, match="neither prompt nor messages"):
        load_prompts(write(tmp_path, '{"text": "noon"}\n'))
