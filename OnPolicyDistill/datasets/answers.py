"""A teacher's answers to inputs: as they came, which of them count, and what is learned from them.

RUN/generated/
samples.jsonl                   every answer, retries included, in the order they came
conversations.jsonl             accepted answers as conversations without the teacher's prompt
validation_conversations.jsonl  the same for held-out inputs
rejects.jsonl                   inputs without an accepted answer, and why
picture-*                       pictures that stood in the inputs' own file
identity.json                   what was asked: answers are used again only for the same
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from OnPolicyDistill.datasets.labelled import LabelledItem, parse_label
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import append_whole, disk_errors, write_text_atomically
from OnPolicyDistill.settings.prompt_distillation import Acceptance, PromptDistillationSettings

Split = Literal["train", "held_out"]
THINKING_CLOSES = "</think>"

SAMPLES_FILE = "samples.jsonl"
IDENTITY_FILE = "identity.json"
REJECTS_FILE = "rejects.jsonl"
CONVERSATION_FILES: dict[Split, str] = {
    "train": "conversations.jsonl",
    "held_out": "validation_conversations.jsonl",
}


class Answer(BaseModel):
    """One answer to one input. `label` is empty where none could be read from the reply."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Split
    index: int
    sample: int
    attempt: int
    reply: str
    label: str | None
    finish_reason: Literal["stop", "length"]
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer that is learned, and the share of samples that give its label."""

    answer: Answer
    agreement: float


def read_label(reply: str, labels: Sequence[str] | None, answer_prefix: str) -> str | None:
    """Read the answer of a reply: one of the labels, or any text behind the thinking."""
    if labels is not None:
        return parse_label(reply, labels, answer_prefix)
    if "<think>" in reply and THINKING_CLOSES not in reply:
        return None
    text = reply_text(reply)
    _, found, rest = text.rpartition(answer_prefix)
    return (rest if answer_prefix and found else text).strip() or None


def reply_text(reply: str) -> str:
    """What stands behind the thinking."""
    return reply.rpartition(THINKING_CLOSES)[2].strip()


def accept(answers: Sequence[Answer], acceptance: Acceptance) -> Accepted | str:
    """Choose the answer to an input from the last try of each sample; else say why none is."""
    last = {answer.sample: answer for answer in answers}
    final = [last[sample] for sample in sorted(last)]
    readable = [answer for answer in final if answer.label is not None]
    if not readable:
        cut = all(answer.finish_reason == "length" for answer in final)
        return "every answer was cut before its end" if cut else "no answer has a readable label"
    counts = Counter(answer.label for answer in readable)
    label, votes = (
        (readable[0].label, counts[readable[0].label])
        if acceptance == "first"
        else counts.most_common(1)[0]
    )
    if acceptance == "majority" and 2 * votes <= len(final):
        return f"no label has more than half of {len(final)} answers"
    if acceptance == "unanimous" and votes < len(final):
        return f"the {len(final)} answers do not all agree"
    chosen = next(answer for answer in readable if answer.label == label)
    return Accepted(chosen, votes / len(final))


def conversation_line(
    item: LabelledItem,
    accepted: Accepted,
    settings: PromptDistillationSettings,
    pictures: Sequence[str] = (),
) -> dict[str, JsonValue]:
    """The conversation that the student learns: input and target, and nothing of the prompt.

    `pictures` are the names of the input's, as `keep_pictures` gives them.
    """
    answer = accepted.answer
    named: dict[str, JsonValue] = {"images": list(pictures)} if pictures else {}
    said = {"answer": answer.label or "", "reply": reply_text(answer.reply)}
    return {
        "messages": [
            {"role": "user", "content": item.content},
            {"role": "assistant", "content": said.get(settings.target, answer.reply.strip())},
        ],
        **named,
        "gold": item.gold,
        "teacher_label": answer.label,
        "agreement": accepted.agreement,
        "source": item.source,
    }


def keep_pictures(folder: Path, item: LabelledItem) -> list[str]:
    """Name an input's pictures for a file in `folder`: where they lie, or as they are kept there.

    Raises:
        DatasetError: one cannot be read.
        DiskFullError: it cannot be kept.
    """
    return [_kept(folder, source) for source in item.pictures]


def _kept(folder: Path, source: PictureSource) -> str:
    if source.file is not None:
        return str(source.file.resolve())
    data = source.read()
    file = folder / f"picture-{hashlib.sha256(data).hexdigest()[:32]}"
    with disk_errors(file):
        file.write_bytes(data)
    return file.name


def identity_of(
    items: dict[Split, Sequence[LabelledItem]], prompt: str, settings: PromptDistillationSettings
) -> dict[str, str]:
    """Hash each thing that has to match before answers are used again."""
    labels = [list(settings.labels or ()), settings.answer_prefix]
    asked: dict[str, object] = {"prompt": prompt, "labels": labels}
    asked["inputs"] = [_identity(item) for item in items["train"]]
    asked["held-out inputs"] = [_identity(item) for item in items["held_out"]]
    return {
        name: hashlib.sha256(json.dumps(value).encode()).hexdigest()
        for name, value in asked.items()
    }


def picture_marks(item: LabelledItem) -> list[str]:
    """What tells an input's pictures, wherever their files lie: a hash of each one's bytes."""
    return [hashlib.sha256(source.read()).hexdigest() for source in item.pictures]


def _identity(item: LabelledItem) -> str | list[str]:
    return [item.text, *picture_marks(item)] if item.pictures else item.text


class AnswerStore:
    """Answers on disk, appended batch by batch; a batch that a crash left unfinished is dropped."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / SAMPLES_FILE
        self._answers: dict[tuple[Split, int], list[Answer]] = {}
        for answer in _read(self._path):
            self._answers.setdefault((answer.split, answer.index), []).append(answer)

    def of(self, split: Split, index: int) -> Sequence[Answer]:
        """All answers to an input, in the order they came."""
        return self._answers.get((split, index), ())

    def keep_only(self, is_whole: Callable[[Split, int], bool]) -> None:
        """Forget inputs whose batch is not whole, on disk as well."""
        whole = {key: found for key, found in self._answers.items() if is_whole(*key)}
        if len(whole) < len(self._answers) or not _ends_whole(self._path):
            self._answers = whole
            lines = (answer for found in whole.values() for answer in found)
            write_text_atomically(self._path, _text(lines))

    def add(self, answers: Sequence[Answer]) -> None:
        """Keep a batch: durable when this returns."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            with disk_errors(self._path):
                append_whole(descriptor, _text(answers).encode())
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for answer in answers:
            self._answers.setdefault((answer.split, answer.index), []).append(answer)


def write_lines(path: Path, lines: Iterable[dict[str, JsonValue]]) -> None:
    """Replace a JSONL file as a whole."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text_atomically(path, text)


def _text(answers: Iterable[Answer]) -> str:
    return "".join(answer.model_dump_json() + "\n" for answer in answers)


def _read(path: Path) -> Iterable[Answer]:
    """Yield whole lines; the torn last one of a crash is left out.

    Raises:
        RunError: a line before the last is damaged.
    """
    if not path.exists():
        return
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            return
        try:
            yield Answer.model_validate_json(line)
        except ValidationError as error:
            raise RunError(f"{path}, line {number} is damaged.", "Delete the file.") from error


def _ends_whole(path: Path) -> bool:
    return not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
