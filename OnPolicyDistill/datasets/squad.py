"""SQuAD's questions about a text: a question a line, or the articles of the published file.

A question that has no answer in its text (SQuAD 2) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

Values = Mapping[str, JsonValue]


def is_squad(values: Values) -> bool:
    """Whether a line is a question with its context, or an article with paragraphs."""
    if isinstance(values.get("paragraphs"), list):
        return True
    return "context" in values and "question" in values and "answers" in values


def of_squad(values: Values) -> list[tuple[str, str]]:
    """Questions behind their context, and the first answer of each; none where none has one.

    Raises:
        ValueError: why the line cannot be used.
    """
    return list(_asked(values))


def _asked(values: Values) -> Iterator[tuple[str, str]]:
    paragraphs = values.get("paragraphs")
    if not isinstance(paragraphs, list):
        yield from _question(values.get("context"), values)
        return
    for paragraph in paragraphs:
        questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
        if not isinstance(paragraph, dict) or not isinstance(questions, list):
            raise ValueError("A paragraph has no context with questions (qas).")
        for question in questions:
            if not isinstance(question, dict):
                raise ValueError("A question is no object.")
            yield from _question(paragraph.get("context"), question)


def _question(context: JsonValue, values: Values) -> Iterator[tuple[str, str]]:
    question, answer = values.get("question"), _first_answer(values.get("answers"))
    if not isinstance(context, str) or not isinstance(question, str):
        raise ValueError("context or question is no text.")
    if answer and not values.get("is_impossible"):
        yield f"{context.strip()}\n\n{question.strip()}", answer


def _first_answer(answers: JsonValue) -> str | None:
    """Of {"text": ["..."]} as the hub has it, or of [{"text": "..."}] as the file has it."""
    if isinstance(answers, dict):
        answers = answers.get("text")
    first = answers[0] if isinstance(answers, list) and answers else None
    text = first.get("text") if isinstance(first, dict) else first
    return text.strip() if isinstance(text, str) else None
