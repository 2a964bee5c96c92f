"""Pairs: what may learn from what, and why not, in words."""

import pytest

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.pair import check_pair, check_pair_by_name

CHATML = "<|im_start|>assistant\n"
END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
TURNS = "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"


def verdicts(report):
    return {finding.code: finding.verdict for finding in report.findings}


def message(report, code):
    return next(finding.message for finding in report.findings if finding.code == code)


def test_two_sizes_of_one_family_fit(model_folder):
    config = {"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 9}
    sizes = {"num_attention_heads": 2, "intermediate_size": 99, "vocab_size": 192}
    report = check_pair(model_folder("s"), model_folder("t", config=config | sizes))
    assert report.verdict == "ok"
    assert report.basis == "files"
    assert report.summary == "Student and teacher speak the same tokens and the same template."
    assert report.student_opening == report.teacher_opening == f"{END_OF_TURN}\n{CHATML}"
    assert "both are cut" in message(report, "logits")
    assert report.shared_vocab_size == 9


def test_two_texts_for_one_id_are_a_mismatch_with_examples(model_folder):
    student = model_folder("s", words=("a", "b", "c", "What", "is", "?"))
    teacher = model_folder("t", words=("b", "a", "c", "What", "is", "?"))
    report = check_pair(student, teacher)
    assert report.verdict == "mismatch"
    assert report.num_differing_ids == 2
    assert report.differing_examples == ("0: 'a' / 'b'", "1: 'b' / 'a'")
    assert "2 token ids mean different texts" in report.summary


def test_vocabularies_of_equal_size_are_still_compared_token_by_token(model_folder):
    student = model_folder("s", added=(END_OF_TEXT, "<|im_start|>", END_OF_TURN))
    teacher = model_folder("t", added=(END_OF_TEXT, END_OF_TURN, "<|im_start|>"))
    assert verdicts(check_pair(student, teacher))["tokenizer"] == "mismatch"


def test_more_tokens_at_the_end_are_a_warning(model_folder):
    added = (END_OF_TEXT, "<|im_start|>", END_OF_TURN, "<think>")
    report = check_pair(model_folder("s"), model_folder("t", added=added))
    assert report.verdict == verdicts(report)["vocabulary"] == "warning"
    assert "'<think>' of the teacher" in report.summary
    assert report.shared_vocab_size == 9


def test_a_base_student_of_an_instruct_teacher_is_warned_about_its_end_token(model_folder):
    student = model_folder("s", ends=(END_OF_TEXT,))
    teacher = model_folder("t", ends=(END_OF_TURN, 8, 6))
    report = check_pair(student, teacher)
    assert report.verdict == verdicts(report)["end_tokens"] == "warning"
    assert "The teacher ends its turn with 8 (<|im_end|>)" in report.summary
    assert "it stops at [6]" in report.summary


def test_a_student_that_also_stops_at_the_teachers_end_is_fine(model_folder):
    student = model_folder("s", ends=(END_OF_TEXT, 8))
    teacher = model_folder("t", ends=(END_OF_TURN, 8, 6))
    assert verdicts(check_pair(student, teacher))["end_tokens"] == "ok"


def test_a_student_whose_end_the_teacher_does_not_know_is_warned_of(model_folder):
    report = check_pair(model_folder("s"), model_folder("t", ends=(END_OF_TEXT,)))
    assert "stops at [8], which the teacher does not know" in message(report, "end_tokens")


def test_what_ends_a_teachers_turn_is_read_from_its_template_not_its_eos_token(model_folder):
    student = model_folder("s", ends=(END_OF_TEXT,))
    teacher = model_folder("t", ends=(END_OF_TEXT, 8))
    report = check_pair(student, teacher)
    assert "The teacher ends its turn with 8 (<|im_end|>)" in message(report, "end_tokens")


def test_nameless_end_tokens_are_warned_of(model_folder):
    report = check_pair(model_folder("s", ends=(None,)), model_folder("t"))
    assert "may never end" in message(report, "end_tokens")


def test_different_headers_are_shown_both(model_folder):
    template = TURNS + "{% if add_generation_prompt %}assistant:{% endif %}"
    report = check_pair(model_folder("s"), model_folder("t", template=template))
    assert verdicts(report)["template"] == "warning"
    assert "'<|im_end|>assistant:' for the teacher" in message(report, "template")


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ("", "<think>\n", "warning"),
        ("<think>\n", "<think>\n", "ok"),
        ("{% if enable_thinking is false %}<think></think>{% endif %}", "<think>\n", "warning"),
        ("{% if enable_thinking is false %}<think></think>{% endif %}", "", "warning"),
    ],
)
def test_thinking_habits_are_compared_apart_from_the_header(ours, theirs, verdict, model_folder):
    folders = [
        model_folder(name, template=f"{TURNS}{CHATML}{thought}{{{{ '' }}}}")
        for name, thought in (("s", ours), ("t", theirs))
    ]
    report = check_pair(*folders)
    assert verdicts(report)["thinking"] == verdict
    assert verdicts(report)["template"] == "ok"


def test_a_quantized_teacher_is_noted_without_a_warning(model_folder):
    config = {"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 128}
    rest = {"num_attention_heads": 2, "intermediate_size": 9, "quantization": {"bits": 4}}
    report = check_pair(model_folder("s"), model_folder("t", config=config | rest))
    assert report.verdict == "ok"
    assert "4-bit weights" in message(report, "quantization")


def test_a_model_as_its_own_teacher_is_pointed_out(model_folder):
    folder = model_folder("s")
    assert "teaches nothing" in check_pair(folder, folder).summary


def test_a_folder_without_template_or_tokenizer_is_refused(model_folder, tmp_path):
    with pytest.raises(ModelError, match="has no chat template"):
        check_pair(model_folder("s", template=None), model_folder("t"))
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        check_pair(tmp_path, tmp_path / "t")


@pytest.mark.parametrize(
    ("student", "teacher", "verdict", "code"),
    [
        ("qwen2.5-7b", "qwen2.5-32b", "ok", None),
        ("qwen2.5-3b", "qwen2.5-32b-4bit", "ok", None),
        ("qwen2.5-1.5b-base", "qwen2.5-7b", "warning", "end_tokens"),
        ("qwen2.5-7b", "qwen3-32b", "warning", "vocabulary"),
        ("deepseek-r1-distill-qwen-7b", "qwen2.5-32b", "mismatch", "tokenizer"),
        ("phi-3.5-mini", "qwen2.5-7b", "mismatch", "tokenizer"),
        ("qwen3-4b-instruct-2507", "qwen3-30b-a3b-thinking-2507", "warning", "thinking"),
        ("qwen3-4b", "qwen3-4b", "warning", "same_model"),
    ],
)
def test_models_that_are_not_here_are_judged_by_known_facts_and_it_is_said(
    student, teacher, verdict, code
):
    report = check_pair_by_name(student, teacher)
    assert (report.basis, report.verdict) == ("registry", verdict)
    assert code is None or verdicts(report)[code] == verdict
    assert "registry" in report.summary or verdict == "warning"


def test_a_base_student_is_warned_with_the_two_ids():
    report = check_pair_by_name("qwen2.5-1.5b-base", "qwen2.5-1.5b")
    assert "151645" in report.summary
    assert "[151643]" in report.summary


def test_folders_are_compared_exactly_and_unknown_names_refused(model_folder):
    student, teacher = str(model_folder("s")), str(model_folder("t"))
    report = check_pair_by_name(student, teacher)
    assert (report.basis, report.student, report.teacher) == ("files", student, teacher)
    with pytest.raises(ModelError, match="nobody/nothing is not on this machine"):
        check_pair_by_name("nobody/nothing", "qwen2.5-7b")
