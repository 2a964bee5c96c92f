"""The linter: every finding has its line, and a clean file has none."""

import json

import pytest

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.findings import MAX_FINDINGS_PER_CODE
from OnPolicyDistill.datasets.lengths import histogram
from OnPolicyDistill.datasets.linter import Ruler, lint_prompts
from OnPolicyDistill.errors import DatasetError

CLEAN = [{"prompt": f"How many legs have {count} spiders?"} for count in range(2, 12)]


def write(tmp_path, lines, name="prompts.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def findings(tmp_path, *lines):
    """What the linter says about lines that follow a clean set of ten."""
    report = lint_prompts(write(tmp_path, [*CLEAN, *lines]))
    return [(finding.line, finding.code) for finding in report.findings]


def test_a_clean_file_has_no_findings(tmp_path):
    report = lint_prompts(write(tmp_path, CLEAN))
    assert (report.verdict, report.findings, report.num_prompts) == ("ok", (), 10)
    assert report.lengths.unit == "characters"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "broken_json"),
        ({"instruction": "a"}, "missing_prompt"),
        ({"prompt": ""}, "empty_prompt"),
        ({"prompt": "<|im_start|>user\nHi<|im_end|>"}, "already_templated"),
        ({"prompt": "[INST] Hi [/INST]"}, "already_templated"),
        ({"prompt": "Hi there \n"}, "edge_whitespace"),
        ({"prompt": "caf\ufffd au lait"}, "lost_characters"),
        ({"prompt": "x" * 9000}, "too_long"),
        ({"prompt": "Look.", "images": ["missing.png"]}, "unread_picture"),
        ({"prompt": CLEAN[3]["prompt"]}, "duplicate"),
        ({"prompt": CLEAN[3]["prompt"].upper().replace(" ", "  ")}, "near_duplicate"),
        ({"messages": [{"role": "human", "content": "Hi"}]}, "unknown_role"),
    ],
)
def test_each_kind_of_trouble_is_found_with_its_line(line, code, tmp_path):
    assert (11, code) in findings(tmp_path, line)


def test_a_late_system_message_is_found(tmp_path):
    roles = [{"role": role, "content": "a b c"} for role in ("user", "system", "user")]
    assert findings(tmp_path, {"messages": roles}) == [(11, "late_system")]


def test_a_given_answer_is_found_and_a_list_of_choices_is_not(tmp_path):
    lines = [
        {"prompt": "What is 2 + 5? The answer is 7.", "answer": "7"},
        {
            "prompt": "Who wrote Hamlet, William Shakespeare or not?",
            "answer": "William Shakespeare",
        },
        {"prompt": "Is it warm? Say yes or no.", "answer": "yes"},
        {"prompt": "What is 7 + 0?", "answer": "7"},
    ]
    report = lint_prompts(write(tmp_path, [*CLEAN, *lines]))
    (told,) = (found for found in report.findings if found.code == "answer_inside")
    assert told.lines == (11, 12)


def test_arithmetic_that_differs_by_its_operator_is_no_duplicate(tmp_path):
    assert findings(tmp_path, {"prompt": "What is 2+2?"}, {"prompt": "What is 2-2?"}) == []


def test_contradicting_answers_are_found(tmp_path):
    lines = [{"prompt": "Capital?", "answer": answer} for answer in ("Rome", "Paris")]
    assert (12, "contradiction") in findings(tmp_path, *lines)


def test_leakage_against_another_set_is_found_in_spite_of_case_and_spaces(tmp_path):
    other = write(tmp_path, [{"prompt": "how many legs  have 4 spiders"}, "{broken"], "other.jsonl")
    report = lint_prompts(write(tmp_path, CLEAN), other)
    assert report.num_leaked == 1
    # One of so few is more than a twentieth of them.
    assert [(finding.line, finding.code) for finding in report.findings] == [
        (None, "overlap"),
        (3, "leaked"),
    ]


def test_partly_answered_and_tiny_sets_are_pointed_out(tmp_path):
    report = lint_prompts(write(tmp_path, [{"prompt": "a", "answer": "1"}, {"prompt": "b"}]))
    assert {(finding.line, finding.code) for finding in report.findings} == {
        (None, "few_prompts"),
        (None, "some_answers"),
    }
    assert report.num_answers == 1


def test_a_file_without_usable_prompts_is_an_error(tmp_path):
    report = lint_prompts(write(tmp_path, ["", "  "]))
    assert (report.verdict, report.num_lines, report.counts) == ("error", 0, {"no_prompts": 1})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        lint_prompts(tmp_path / "none.jsonl")


def test_of_very_many_findings_the_first_are_listed_and_all_are_counted(tmp_path):
    lines = [{"prompt": f"again {n // 2}", "answer": "1"} for n in range(3000)]
    report = lint_prompts(write(tmp_path, [*lines, {"prompt": "late "}]))
    assert report.counts["duplicate"] == 1500
    assert report.num_unlisted == 1500 - MAX_FINDINGS_PER_CODE
    assert report.findings[-1].code == "edge_whitespace"


def test_equal_errors_are_told_once_with_their_count_and_first_lines(tmp_path):
    report = lint_prompts(write(tmp_path, ["{"] * 1500 + [{"prompt": "a"}, {"prompt": 5}]))
    told = [found for found in report.findings if found.severity == "error"]
    assert [(found.line, found.num_lines) for found in told] == [(1, 1500), (1502, 1)]
    assert (told[0].lines, told[1].lines) == (tuple(range(1, 11)), ())
    assert (report.num_errors, report.num_unlisted) == (1501, 0)


def test_lengths_are_tokens_of_the_rendered_prompt_where_tokenizer_and_template_are_given(
    tmp_path, word_tokenizer
):
    (tmp_path / "chat_template.jinja").write_text("user {{ messages[-1].content }} assistant")
    ruler = Ruler(word_tokenizer, ChatTemplate.load(tmp_path), max_prompt_tokens=8)
    report = lint_prompts(write(tmp_path, [*CLEAN, {"prompt": "word " * 9}]), ruler=ruler)
    assert (report.lengths.unit, report.lengths.longest) == ("tokens", 11)
    assert [finding.line for finding in report.findings if finding.code == "too_long"] == [11]


def test_a_prompt_that_the_template_refuses_is_an_error_with_its_line(tmp_path):
    source = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (tmp_path / "chat_template.jinja").write_text(source)
    system = [{"role": role, "content": "a b"} for role in ("system", "user")]
    path = write(tmp_path, [*CLEAN, {"messages": system}])
    report = lint_prompts(path, ruler=Ruler(template=ChatTemplate.load(tmp_path)))
    assert [(f.line, f.code, f.severity) for f in report.findings] == [
        (11, "template_refuses", "error")
    ]


def test_a_histogram_counts_every_length_once_in_doubling_bins():
    lengths = histogram([1, 2, 3, 4, 9, 100], "tokens")
    assert sum(bucket.count for bucket in lengths.bins) == 6
    assert [(b.low, b.high, b.count) for b in lengths.bins[:4]] == [
        (1, 1, 1),
        (2, 3, 2),
        (4, 7, 1),
        (8, 15, 1),
    ]
    assert (lengths.median, lengths.p95, lengths.longest, lengths.total) == (4, 100, 100, 119)
    assert histogram([], "tokens").bins == ()
