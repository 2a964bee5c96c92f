"""Which answers of a teacher count."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.datasets.answers import (
    Accepted,
    Answer,
    AnswerStore,
    accept,
    conversation_line,
    read_label,
)
from OnPolicyDistill.datasets.labelled import LabelledItem
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings


def answers(*labels: str | None) -> list[Answer]:
    return [
        Answer(
            split="train",
            index=0,
            sample=sample,
            attempt=0,
            reply=f"<think>hm</think>Final Answer: {label}",
            label=label,
            finish_reason="stop",
            num_tokens=3,
        )
        for sample, label in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("acceptance", "labels", "label", "agreement"),
    [
        ("first", ("en", "de", "de"), "en", 1 / 3),
        ("first", (None, "de", "en"), "de", 1 / 3),
        ("majority", ("en", "de", "de"), "de", 2 / 3),
        ("unanimous", ("de", "de"), "de", 1.0),
    ],
)
def test_the_acceptance_decides_which_answer_is_learned(
    acceptance: str, labels: tuple[str | None, ...], label: str, agreement: float
) -> None:
    settings = PromptDistillationSettings.model_validate({"acceptance": acceptance})
    found = accept(answers(*labels), settings.acceptance)
    assert isinstance(found, Accepted)
    assert found.answer.label == label
    assert found.agreement == pytest.approx(agreement)


@pytest.mark.parametrize(
    ("acceptance", "labels", "reason"),
    [
        ("majority", ("en", "de"), "more than half"),
        ("majority", ("en", None, None), "more than half"),
        ("unanimous", ("de", None), "do not all agree"),
        ("first", (None, None), "readable"),
    ],
)
def test_a_reject_says_why(acceptance: str, labels: tuple[str | None, ...], reason: str) -> None:
    settings = PromptDistillationSettings.model_validate({"acceptance": acceptance})
    found = accept(answers(*labels), settings.acceptance)
    assert isinstance(found, str)
    assert reason in found


def test_only_the_last_try_of_a_sample_counts() -> None:
    first = answers(None)[0]
    second = first.model_copy(update={"attempt": 1, "label": "de"})
    found = accept([first, second], "unanimous")
    assert isinstance(found, Accepted)
    assert found.answer.attempt == 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("answer", "de"),
        ("reply", "Final Answer: de"),
        ("thinking", "<think>hm</think>Final Answer: de"),
    ],
)
def test_the_target_decides_what_the_student_says(target: str, said: str) -> None:
    settings = PromptDistillationSettings.model_validate({"target": target})
    accepted = Accepted(answers("de")[0], 1.0)
    line = conversation_line(LabelledItem(0, "Guten Tag", "de", "a book"), accepted, settings)
    assert line["messages"] == [
        {"role": "user", "content": "Guten Tag"},
        {"role": "assistant", "content": said},
    ]
    assert (line["gold"], line["teacher_label"], line["source"]) == ("de", "de", "a book")


def test_without_labels_any_text_behind_the_thinking_is_an_answer() -> None:
    assert read_label("<think>a</think> So.\nFinal Answer: two words", None, "Final Answer:") == (
        "two words"
    )
    assert read_label("plain", None, "Final Answer:") == "plain"
    assert read_label("<think>still at it", None, "Final Answer:") is None


def test_a_batch_that_a_crash_tore_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    store.add(answers("de"))
    with (tmp_path / "samples.jsonl").open("a") as stream:
        stream.write(answers("en")[0].model_copy(update={"index": 1}).model_dump_json()[:20])
    again = AnswerStore(tmp_path)
    again.keep_only(lambda _, index: index == 0)
    assert [answer.label for answer in again.of("train", 0)] == ["de"]
    assert (tmp_path / "samples.jsonl").read_text() == answers("de")[0].model_dump_json() + "\n"


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("nonsense\n" + answers("de")[0].model_dump_json())
    with pytest.raises(RunError, match="line 1"):
        AnswerStore(tmp_path)
