"""What teachers on demand say before step 1: marks, completions of their own, scores ahead.

All of it goes through the disk where there is one, so that a second run asks nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from OnPolicyDistill.adapters.files import adapter_mark
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.evaluation.heldout import HeldOut, Marks, answer, complete
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.loading import find_folder, fingerprint_of
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.rollout import EncodedPrompt, Rollout
from OnPolicyDistill.runs.held_out_answers import MOST_CHARACTERS, HeldOutAnswers, first_of
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.teacher.card import Card, find_card, write_card
from OnPolicyDistill.teacher.remote import ROWS_PER_REQUEST, RemoteTeacher
from OnPolicyDistill.teacher.scorer import Scorer, TargetForm, finest_form
from OnPolicyDistill.teacher.stored import Identity, StoredTeacher
from OnPolicyDistill.training.distillation import PROBE_ROWS
from OnPolicyDistill.training.rollouts import ROLLOUTS, CompletionStore, Row, complete_rows
from OnPolicyDistill.training.work import Work

ROLLOUT = TypeAdapter(Rollout)
MARKED = TypeAdapter(tuple[float, str])


@dataclass(frozen=True, slots=True)
class Asked:
    """The teachers of a run by name, and where completions of it are kept."""

    work: Work
    settings: DistillationSettings
    teachers: Mapping[str, Scorer]
    store: CompletionStore


def files_of_teacher(settings: DistillationSettings, model: str) -> tuple[str, Path]:
    """A teacher's fingerprint and its small files: on this machine, or noted where rows are kept.

    One that is neither is downloaded.

    Raises:
        ModelError: there is no such model.
    """
    kept = settings.teacher_cache_dir
    cache = None if kept is None else Path(kept).expanduser()
    if cache is not None and local_folder(model) is None:
        noted = find_card(cache, model, settings.mixed_precision)
        if noted is not None:
            return noted[0].fingerprint, noted[1]
    folder = find_folder(model)
    fingerprint = fingerprint_of(folder, settings.mixed_precision)
    if cache is not None:
        card = Card(model=model, mixed_precision=settings.mixed_precision, fingerprint=fingerprint)
        write_card(cache, card, folder)
    return fingerprint, folder


def identity_of_files(settings: DistillationSettings, model: str, vocab_size: int) -> Identity:
    """Whose answers those of a model are, read off its files."""
    key, _ = files_of_teacher(settings, model)
    worn = settings.teacher_adapter
    key += "" if worn is None else adapter_mark(Path(worn))
    return Identity(key, model, vocab_size)


def identity_of_served(
    endpoint: TeacherEndpoint, teacher: RemoteTeacher, vocab_size: int
) -> Identity:
    """Whose answers those of a server are: its teacher's files, or else address and name alone."""
    told = f"{endpoint.server} {endpoint.base} {endpoint.model}"
    named = "served-" + hashlib.sha256(told.encode()).hexdigest()[:16]
    return Identity(teacher.fingerprint or named, str(endpoint.model), vocab_size)


def mark_own(asked: Asked, held_out: HeldOut) -> tuple[Marks, HeldOutAnswers]:
    """Which held-out prompts their teachers answer rightly, and the first answers, for people.

    Nothing where none writes.
    """
    marks: dict[int, float] = {}
    texts: dict[int, str] = {}
    for name, teacher in asked.teachers.items():
        prompts = [p for p in held_out.prompts if p.teacher == name and p.answer is not None]
        if not prompts or not teacher.offer.completes:
            continue

        def mark(
            places: list[int],
            teacher: Scorer = teacher,
            prompts: Sequence[EncodedPrompt] = prompts,
        ) -> list[JsonValue]:
            some = replace(held_out, prompts=tuple(prompts[place] for place in places))
            given = answer(teacher.policy, some.prompts, some, asked.work.hooks)
            return [[one.mark(), one.text[-MOST_CHARACTERS:]] for one in given]

        keys = [_mark_key(prompt, held_out.max_tokens) for prompt in prompts]
        found = _told(teacher, keys, mark)
        for prompt, value in zip(prompts, found, strict=True):
            marks[prompt.index], texts[prompt.index] = MARKED.validate_python(value)
    shown = first_of(
        (one.index, one.text, one.answer, texts[one.index], marks[one.index])
        for one in held_out.prompts
        if one.index in texts
    )
    return (held_out.aligned(marks) if marks else ()), shown


def complete_own(asked: Asked, rows: Sequence[Row]) -> None:
    """Let each teacher complete, of rows that come again, those that are its own.

    They are saved group by group, so that an interruption costs at most one group.
    """
    size = 4 * asked.settings.rows_per_step
    for name, teacher in asked.teachers.items():
        own = [row for row in rows if row.source == "teacher" and row.prompt.teacher == name]
        missing = asked.store.missing("teacher", own)
        for start in range(0, len(missing), size):
            group = missing[start : start + size]
            asked.store.add("teacher", _completed(asked, teacher, group))
            done = min(start + size, len(missing))
            said = f"Completions of {name or 'the teacher'}."
            asked.work.reporter.phase("generating", said, done, len(missing))


def complete_own_held_out(asked: Asked, held_out: HeldOut) -> HeldOut:
    """The held-out set with the teacher's own completions, to measure a run on without it."""
    (teacher,) = asked.teachers.values()
    keys = [_held_out_key(held_out, prompt) for prompt in held_out.prompts]

    def make(places: list[int]) -> list[JsonValue]:
        some = replace(held_out, prompts=tuple(held_out.prompts[place] for place in places))
        made = complete(teacher.policy, some, SamplingSettings(), asked.work.hooks)
        return [_as_json(rollout) for rollout in made]

    told = _told(teacher, keys, make)
    fixed = [
        replace(ROLLOUT.validate_python(each), prompt_index=place, teacher=prompt.teacher)
        for place, (each, prompt) in enumerate(zip(told, held_out.prompts, strict=True))
    ]
    return replace(held_out, fixed=tuple(fixed))


def score_ahead(asked: Asked, rows: Sequence[Row], held_out: Sequence[Rollout]) -> None:
    """Score completions that come again, and held-out ones, before anything asks for them.

    Raises:
        RunError: the disk's room is too small for them.
    """
    rollouts = [asked.store.get(row) for row in rows]
    measured = [*held_out, *_probed(asked, rollouts)]
    wanted = [(row, finest_form(asked.teachers[row.teacher])) for row in measured]
    wanted += [(row, asked.teachers[row.teacher].form) for row in rollouts]
    wanted = [one for one in wanted if isinstance(asked.teachers[one[0].teacher], StoredTeacher)]
    done = 0
    for name, form, part in _parts(asked, wanted):
        check_stop()
        asked.teachers[name].score(part, form=form)
        done += len(part)
        asked.work.reporter.phase("scoring", "Scores for the cache.", done, len(wanted))
    _refuse_lost(asked, wanted)


def _parts(
    asked: Asked, wanted: Sequence[tuple[Rollout, TargetForm]]
) -> Iterator[tuple[str, TargetForm, list[Rollout]]]:
    """What is asked at once: a few rows of one teacher, each teacher's together."""
    for name in asked.teachers:
        for form in dict.fromkeys(form for _, form in wanted):
            own = [row for row, wanted_form in wanted if (row.teacher, wanted_form) == (name, form)]
            for start in range(0, len(own), ROWS_PER_REQUEST):
                yield name, form, own[start : start + ROWS_PER_REQUEST]


def _refuse_lost(asked: Asked, wanted: Sequence[tuple[Rollout, TargetForm]]) -> None:
    lost = 0
    for row, form in wanted:
        teacher = asked.teachers[row.teacher]
        lost += isinstance(teacher, StoredTeacher) and not teacher.has(row, form)
    if lost:
        raise RunError(
            f"The teacher cache on disk of {asked.settings.teacher_cache_dir_mb} MB is full: "
            f"{lost} of {len(wanted)} scored completions did not fit.",
            "Raise teacher_cache_dir_mb, use teacher_cache_precision: int8 or teacher_targets: "
            "top_k, or fewer prompts.",
        )


def _probed(asked: Asked, rollouts: Sequence[Rollout]) -> list[Rollout]:
    """What the proof of learning will ask for: the first rows of every teacher."""
    own = {name: [r for r in rollouts if r.teacher == name] for name in asked.teachers}
    return [rollout for some in own.values() for rollout in some[:PROBE_ROWS]]


def _completed(asked: Asked, teacher: Scorer, rows: Sequence[Row]) -> list[Rollout]:
    """A teacher's own completions of rows: each rank makes its share, and all of them get all."""
    settings, ranks = asked.settings, asked.work.ranks
    share = ranks.own(rows)

    def make(places: list[int]) -> list[JsonValue]:
        some = [share[place] for place in places]
        made = complete_rows(teacher.policy, some, settings, asked.work.hooks)
        return [_as_json(rollout) for rollout in made]

    told = _told(teacher, [_row_key(settings, row) for row in share], make)
    own = [
        replace(
            ROLLOUT.validate_python(each),
            prompt_index=row.prompt.index,
            teacher=row.prompt.teacher,
        )
        for each, row in zip(told, share, strict=True)
    ]
    return ranks.together(own, ROLLOUTS)


def _told(
    teacher: Scorer, keys: Sequence[JsonValue], make: Callable[[list[int]], list[JsonValue]]
) -> list[JsonValue]:
    """Answers from disk where the teacher has one, else all of them anew."""
    if isinstance(teacher, StoredTeacher):
        return teacher.told(keys, make)
    return make([*range(len(keys))]) if keys else []


def _as_json(rollout: Rollout) -> JsonValue:
    told: JsonValue = ROLLOUT.dump_python(rollout, mode="json")
    return told


def _mark_key(prompt: EncodedPrompt, max_tokens: int) -> JsonValue:
    return ["answer", list(prompt.ids), prompt.answer, prompt.grader, max_tokens]


def _held_out_key(held_out: HeldOut, prompt: EncodedPrompt) -> JsonValue:
    seed = derive_seed(held_out.seed, "held_out", prompt.index)
    return ["completion", list(prompt.ids), seed, held_out.max_tokens, 1.0, 1.0, 0]


def _row_key(settings: DistillationSettings, row: Row) -> JsonValue:
    """All that a row's completion depends on beside the policy, see `complete_rows`."""
    top = settings.top_k if settings.teacher_targets == "top_k" else 0
    return [
        "completion",
        list(row.prompt.ids),
        derive_seed(settings.seed, "rollout", row.number),
        settings.max_generation_tokens,
        settings.generation_temperature,
        settings.top_p,
        top,
    ]
