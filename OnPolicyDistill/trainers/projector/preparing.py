"""What a run of surgery works on: the grafted model, and conversations with their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import mlx.core as mx

from OnPolicyDistill.adapters.surgery import assemble, graft_of, match_words
from OnPolicyDistill.datasets.order import drawn_evenly
from OnPolicyDistill.evaluation.controls import shuffled_pictures
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.models.loading import policy_of
from OnPolicyDistill.models.parameters import arrays_of
from OnPolicyDistill.models.projector import fill_projector
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture, PictureBook
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.trainers.projector.rows import Pictured, Writing, read_pictured
from OnPolicyDistill.trainers.projector.student import GraftedStudent, student_of
from OnPolicyDistill.training.conversation_rows import ConversationRow
from OnPolicyDistill.training.files import LengthLimit, leave_out_long, named_file
from OnPolicyDistill.training.shown_answers import ShownPrompts, first_question, shown_of
from OnPolicyDistill.training.work import Work

T = TypeVar("T")
MATCHED_PICTURES = 16
CONVERSATIONS, VALIDATION = "conversations", "validation_conversations"


@dataclass(frozen=True, slots=True)
class Surgery:
    """A grafted student and what it learns from; only its projector and the optimizer change.

    `shuffled` are the held-out rows with pictures of other ones, empty where there are no others.
    `questions` are the conversations that are asked at the end. `start` is the projector that the
    run began with. `num_available` counts the held-out conversations of the file; `shown` are the
    first of them, which evaluations let the student answer for people to see.
    """

    settings: ProjectorSettings
    student: GraftedStudent
    writing: Writing
    rows: tuple[ConversationRow, ...]
    held_out: tuple[ConversationRow, ...]
    shuffled: tuple[ConversationRow, ...]
    questions: tuple[Pictured, ...]
    start: dict[str, mx.array]
    num_available: int
    shown: ShownPrompts

    @property
    def model(self) -> SeeingModel:
        """The grafted model."""
        model = self.student.policy.model
        assert isinstance(model, SeeingModel)
        return model

    def picture_metrics(self) -> dict[str, float]:
        """How many pictures were known already, and the memory that they take."""
        return self.model.shelf.metrics()

    def fill_with_best(self, run: RunDirectory) -> None:
        """Let the projector be what it was at its best checkpoint."""
        best = exported(run)
        if best is not None:
            fill_projector(self.student.projector, best)


def prepare(work: Work) -> Surgery:
    """Graft the model, read the conversations and their pictures, and write them as rows.

    Raises:
        DistillError: a file or a model cannot be used.
    """
    settings = work.settings
    assert isinstance(settings, ProjectorSettings)
    facts = facts_of(settings)
    training = named_file(facts, CONVERSATIONS, settings.conversations)
    validation = named_file(facts, VALIDATION, settings.validation_conversations)
    work.reporter.phase("loading", "Grafting the vision tower on the language model.")
    book = work.book
    parts, projector = graft_of(settings)
    model = assemble(parts, projector, settings.mixed_precision)
    policy = policy_of(
        parts.language, parts.settings, model, settings.mixed_precision, settings.sight, book
    )
    writing = Writing(policy, book, settings.thinking, settings.vision_markers)
    work.reporter.phase("loading", "Reading conversations and pictures.")
    learned, held = (read_pictured(file, model.sight) for file in (training, validation))
    if settings.grafted_model is None and settings.projector_start == "matched":
        match_words(model, projector, some_pictures(learned))
    rows = _short(_rows(writing, learned), settings, training, work)
    measured = _drawn(held, settings.eval_conversations, settings.seed)
    own = _rows(writing, measured)
    others = with_other_pictures(own, book)
    # Rows are left out by their own length, so that both sets hold the same answers.
    pairs = zip(own, others or own, strict=True)
    shuffled_rows = [other for row, other in pairs if len(row.token_ids) <= settings.max_length]
    held_out = _short(own, settings, validation, work)
    questions = {one.line: first_question(one.messages) for one in measured}
    work.keep_pictures()
    settings = settings.settled(len(rows))
    steps = f"{len(rows)} rows, {settings.rows_per_step} a step: {settings.num_steps} steps."
    work.reporter.phase("loading", steps, num_steps=settings.num_steps)
    return Surgery(
        settings=settings,
        student=student_of(policy, projector, parts, settings),
        writing=writing,
        rows=rows,
        held_out=held_out,
        shuffled=tuple(shuffled_rows) if others else (),
        questions=_drawn(held, settings.thinking_prompts, derive_seed(settings.seed, "asked", 0)),
        start={name: mx.array(array) for name, array in arrays_of(projector).items()},
        num_available=len(held),
        shown=shown_of(policy, held_out, questions),
    )


def some_pictures(conversations: Sequence[Pictured]) -> list[Picture]:
    """The first few pictures, each once."""
    found = {each.digest: each for one in conversations for each in one.pictures}
    return list(found.values())[:MATCHED_PICTURES]


def _rows(writing: Writing, conversations: Sequence[Pictured]) -> list[ConversationRow]:
    rows: list[ConversationRow] = []
    for conversation in conversations:
        check_stop()
        rows += writing.rows(conversation)
    return rows


def with_other_pictures(
    rows: Sequence[ConversationRow], book: PictureBook
) -> list[ConversationRow]:
    """The same answers behind other rows' pictures; none at all where a row finds no others."""
    prompts = [
        EncodedPrompt(place, row.token_ids[: row.learned[0]], "") for place, row in enumerate(rows)
    ]
    others = {prompt.index: prompt.ids for prompt in shuffled_pictures(far_apart(prompts), book)}
    changed = []
    for prompt, row in zip(prompts, rows, strict=True):
        ids = others.get(prompt.index, prompt.ids)
        if ids is prompt.ids and has_picture(row):
            return []
        answer = row.token_ids[len(prompt.ids) :]
        learned = tuple(range(len(ids), len(ids) + len(answer)))
        changed.append(ConversationRow((*ids, *answer), learned, row.conversation))
    return changed if others else []


def has_picture(row: ConversationRow) -> bool:
    """Whether a row holds a place of a picture."""
    return max(row.token_ids) >= FIRST_PICTURE_ID


def far_apart(items: Sequence[T]) -> list[T]:
    """Both halves of a list in turn: neighbours in a file often show the same."""
    middle = (len(items) + 1) // 2
    halves = zip_longest(items[:middle], items[middle:])
    return [item for pair in halves for item in pair if item is not None]


def _short(
    rows: list[ConversationRow], settings: ProjectorSettings, file: Path, work: Work
) -> tuple[ConversationRow, ...]:
    if not rows:
        return ()
    limit = LengthLimit(settings.max_length, "max_length", "conversations_left_out", "rows")
    return leave_out_long(rows, lambda row: len(row.token_ids), limit, file, work.reporter)


def _drawn(
    conversations: Sequence[Pictured], wanted: int | None, seed: int
) -> tuple[Pictured, ...]:
    number = min(wanted or len(conversations), len(conversations))
    return tuple(conversations[place] for place in drawn_evenly(len(conversations), number, seed))
