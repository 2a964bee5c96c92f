"""Layouts of public data sets, told by the keys of a line, and read as conversations.

Beside what this program trains on as it is (messages, prompt_completion, sharegpt) these are known:

alpaca          {"instruction", "input", "output"}, perhaps with `system` and `history`
dolly           {"instruction", "context", "response"}
gsm8k           {"question", "answer": "... #### 72"}
openassistant   {"message_id", "parent_id", "role", "text"} a message, or a tree a line
guanaco         {"text": "### Human: ...### Assistant: ..."}
squad           {"context", "question", "answers"}, or the articles of the published file
ultrafeedback   {"instruction", "completions": [{"response", "overall_score"}, ...]}
preference      {"prompt", "chosen", "rejected"}: DPO pairs, of which the chosen one is learned

The words of a task and of its input or context are one question, with a blank line between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from OnPolicyDistill.datasets.messages import Message
from OnPolicyDistill.datasets.openassistant import is_message, is_tree
from OnPolicyDistill.datasets.preferences import of_preference, of_ultrafeedback
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.datasets.squad import is_squad, of_squad

Values = Mapping[str, JsonValue]
OPEN_ASSISTANT = "openassistant"
FINAL_MARK = "####"
# GSM8K's results for a calculator, `<<48/2=24>>`, which its readers take out.
CALCULATED = re.compile(r"<<[^<>\n]*>>")
SPEAKER = re.compile(r"###\s*(Human|Assistant)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that a line of another layout tells, and its short answer where it has one."""

    messages: tuple[Message, ...]
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout: the keys that hold its conversation, how it is told, and how it is read.

    `read` gives nothing for a line that has no answer, and raises a ValueError that says why a line
    cannot be used.
    """

    keys: tuple[str, ...]
    is_it: Callable[[Values], bool]
    read: Callable[[Values], list[Talk]]


def layout_of(values: Values) -> str | None:
    """The name of the layout that a line has; None where it has none of these."""
    if is_message(values) or is_tree(values):
        return OPEN_ASSISTANT
    return next((name for name, layout in LAYOUTS.items() if layout.is_it(values)), None)


def foreign_layout(values: Values, line: int) -> BadLine | None:
    """What is said of a line that has to be converted before it is used, if it is one."""
    layout = layout_of(values)
    if layout is None:
        return None
    message = f"The line has the layout of {layout}, which is converted before it is used."
    fix = "Do so with: opd data convert IN OUT; or with Convert on the Data page."
    return BadLine(line, "other_layout", message, fix)


def _has(*names: str) -> Callable[[Values], bool]:
    return lambda values: all(name in values for name in names)


def _words(values: Values, *names: str) -> str:
    """Texts of several keys as one, with a blank line between those that are there."""
    return "\n\n".join(text for name in names if (text := _text(values, name)))


def _text(values: Values, name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text.")
    return value.strip()


def _pair(question: str, completion: str, system: str = "") -> tuple[Message, ...]:
    if not question:
        raise ValueError("It has no question.")
    if not completion:
        return ()
    start: list[Message] = [{"role": "system", "content": system}] if system else []
    return (
        *start,
        {"role": "user", "content": question},
        {"role": "assistant", "content": completion},
    )


def _told(messages: tuple[Message, ...], answer: str | None = None) -> list[Talk]:
    return [Talk(messages, answer)] if messages else []


def _of_alpaca(values: Values) -> list[Talk]:
    messages = _pair(
        _words(values, "instruction", "input"), _text(values, "output"), _text(values, "system")
    )
    before = list(_history(values.get("history")))
    start = len(messages) - 2
    return _told((*messages[:start], *before, *messages[start:]) if messages else ())


def _history(value: JsonValue) -> Iterator[Message]:
    """Earlier turns as LLaMA-Factory writes them: pairs of a question and its answer."""
    for pair in value if isinstance(value, list) else []:
        if not isinstance(pair, list) or [type(text) for text in pair] != [str, str]:
            raise ValueError("history is not a list of questions with their answers.")
        question, answer = pair
        yield {"role": "user", "content": question}
        yield {"role": "assistant", "content": answer}


def _of_dolly(values: Values) -> list[Talk]:
    return _told(_pair(_words(values, "instruction", "context"), _text(values, "response")))


def _is_gsm8k(values: Values) -> bool:
    answer = values.get("answer")
    return "question" in values and isinstance(answer, str) and FINAL_MARK in answer


def _of_gsm8k(values: Values) -> list[Talk]:
    solution = CALCULATED.sub("", _text(values, "answer"))
    final = solution.rpartition(FINAL_MARK)[2].strip().replace(",", "")
    return _told(_pair(_text(values, "question"), solution), final)


def _is_guanaco(values: Values) -> bool:
    text = values.get("text")
    return isinstance(text, str) and SPEAKER.match(text.lstrip()) is not None


def _of_guanaco(values: Values) -> list[Talk]:
    _, *pieces = SPEAKER.split(_text(values, "text"))
    roles = {"human": "user", "assistant": "assistant"}
    messages: list[Message] = [
        {"role": roles[name.lower()], "content": words.strip()}
        for name, words in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    # Some of its lines are cut off behind a question.
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    return _told(tuple(messages))


def _of_preference(values: Values) -> list[Talk]:
    return _told(tuple(of_preference(values)))


def _of_ultrafeedback(values: Values) -> list[Talk]:
    return _told(_pair(_text(values, "instruction"), of_ultrafeedback(values)))


def _of_squad(values: Values) -> list[Talk]:
    return [Talk(_pair(question, answer), answer) for question, answer in of_squad(values)]


# More telling keys first: a preference set may have an instruction too.
LAYOUTS: dict[str, Layout] = {
    "ultrafeedback": Layout(
        ("instruction", "completions", "models", "correct_answers", "incorrect_answers"),
        lambda values: "instruction" in values and isinstance(values.get("completions"), list),
        _of_ultrafeedback,
    ),
    "preference": Layout(
        ("prompt", "question", "instruction", "system", "chosen", "messages"),
        _has("chosen", "rejected"),
        _of_preference,
    ),
    "squad": Layout(("context", "question", "answers", "paragraphs"), is_squad, _of_squad),
    "alpaca": Layout(
        ("instruction", "input", "output", "system", "history"),
        _has("instruction", "output"),
        _of_alpaca,
    ),
    "dolly": Layout(
        ("instruction", "context", "response"), _has("instruction", "response"), _of_dolly
    ),
    "gsm8k": Layout(("question", "answer"), _is_gsm8k, _of_gsm8k),
    "guanaco": Layout(("text",), _is_guanaco, _of_guanaco),
}
