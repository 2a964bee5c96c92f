"""The second stage of surgery: held-out questions, answered in four ways, each once.

RUN/answers/<way>.json keeps every answer, and a way that is there is not gone again. A thought is
well formed where exactly one is opened, closed and followed by an answer that comes to its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.datasets.assistant_turns import CLOSES, OPENS
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.evaluation.controls import blank_pictures, shuffled_pictures
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.grading.boxed import BOX, grade_boxed
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import EncodedPrompt, Rollout
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.trainers.projector.preparing import Surgery, far_apart
from OnPolicyDistill.trainers.projector.rows import MARKS, final_answer
from OnPolicyDistill.training.work import Work

Way = Literal["plain", "thinking", "wrong_picture", "blank_picture"]
WAYS: tuple[Way, ...] = ("plain", "thinking", "wrong_picture", "blank_picture")
FOLDER = "answers"
ROWS_AT_ONCE = 8


class Answered(BaseModel):
    """A question with what was said and what would have been right; `line` is that of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: int
    question: str
    wanted: str
    said: str
    num_tokens: int
    finish_reason: Literal["stop", "length"]
    is_right: bool
    is_well_formed: bool


class Answers(BaseModel):
    """Everything that was answered one way."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    way: Way
    answers: tuple[Answered, ...]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return sum(answer.is_right for answer in self.answers) / len(self.answers)

    @property
    def well_formed(self) -> float:
        """Share of well-formed thoughts."""
        return sum(answer.is_well_formed for answer in self.answers) / len(self.answers)


def ask(work: Work, surgery: Surgery) -> dict[str, float]:
    """Ask in every way that was not asked yet; returns the figures of all of them.

    Raises:
        StoppedError: a stop was asked for; the way it was in is gone again later.
    """
    for way in WAYS:
        if not _file(work.run, way).is_file():
            _ask_one_way(work, surgery, way)
    return figures_of(work.run)


def figures_of(run: RunDirectory) -> dict[str, float]:
    """Accuracies without and with thinking and with wrong pictures, and well-formed thoughts."""
    found = {way: read_answers(run, way) for way in WAYS}
    names: dict[Way, str] = {
        "plain": "accuracy",
        "thinking": "accuracy_thinking",
        "wrong_picture": "wrong_picture_accuracy",
        "blank_picture": "blank_picture_accuracy",
    }
    figures = {names[way]: each.accuracy for way, each in found.items() if each.answers}
    figures["num_asked"] = float(len(found["plain"].answers))
    figures["well_formed_thoughts"] = found["thinking"].well_formed
    return figures


def read_answers(run: RunDirectory, way: Way) -> Answers:
    """What was answered one way."""
    return Answers.model_validate_json(_file(run, way).read_bytes())


def _ask_one_way(work: Work, surgery: Surgery, way: Way) -> None:
    policy, seed = surgery.student.policy, surgery.settings.seed
    prompts = _prompts(surgery, way)
    detail = f"Questions are answered: {way.replace('_', ' ')}."
    work.reporter.phase("evaluating", detail, WAYS.index(way), len(WAYS))
    request = GenerationRequest(
        prompts=[prompt.ids for prompt in prompts],
        seeds=[derive_seed(seed, "asked", prompt.index) for prompt in prompts],
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=surgery.settings.max_thinking_tokens,
        sampling=SamplingSettings(temperature=0.0),
        max_rows=ROWS_AT_ONCE,
    )
    rollouts = generate(policy.model, request, work.hooks)
    pairs = zip(prompts, rollouts, strict=True)
    answers = [_answered(policy, prompt, rollout) for prompt, rollout in pairs]
    file = _file(work.run, way)
    file.parent.mkdir(exist_ok=True)
    text = Answers(way=way, answers=tuple(answers)).model_dump_json(indent=1)
    write_text_atomically(file, text)


def _prompts(surgery: Surgery, way: Way) -> list[EncodedPrompt]:
    """The questions as they are asked; without their pictures only those that have some."""
    writing = surgery.writing
    prompts = [
        EncodedPrompt(
            question.line,
            writing.prompt_ids(question, question.num_before, way == "thinking"),
            content_text(question.messages[question.num_before - 1].get("content")),
            writing.target(question, question.num_before),
        )
        for question in surgery.questions
    ]
    if way == "wrong_picture":
        prompts = shuffled_pictures(far_apart(prompts), writing.book)
    elif way == "blank_picture":
        prompts = blank_pictures(prompts, writing.book)
    return sorted(prompts, key=lambda prompt: prompt.index)


def _answered(policy: Policy, prompt: EncodedPrompt, rollout: Rollout) -> Answered:
    ids = [token for token in rollout.completion_ids if token not in policy.stop_ids]
    said: str = policy.tokenizer.decode(ids)
    marks = MARKS.findall(said)
    _, closed, answer = said.rpartition(CLOSES)
    has_ended = rollout.finish_reason == "stop"
    is_open = bool(marks) and marks[-1] == OPENS
    is_thought = marks == [OPENS, CLOSES] and said.lstrip().startswith(OPENS)
    wanted = prompt.answer or ""
    return Answered(
        line=prompt.index,
        question=prompt.text,
        wanted=wanted,
        said=said,
        num_tokens=len(rollout.completion_ids),
        finish_reason=rollout.finish_reason,
        is_right=has_ended and not is_open and is_right(answer if closed else said, wanted),
        is_well_formed=has_ended and is_thought and bool(answer.strip()),
    )


def is_right(said: str, wanted: str) -> bool:
    """Whether an answer comes to what was wanted: by its box where it has one, else by its words.

    Spaces and case do not count.
    """
    if BOX in said:
        return grade_boxed(said, final_answer(wanted)).mark == 1
    one, other = ("".join(text.split()).casefold() for text in (said, final_answer(wanted)))
    return one == other


def _file(run: RunDirectory, way: Way) -> Path:
    return run.path / FOLDER / f"{way}.json"
