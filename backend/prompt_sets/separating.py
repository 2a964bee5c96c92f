"""Training and held-out sets that share no line, made of sets as new uploads; the old ones stay.

Lines are compared behind the door, since pictures are looked at, and written into the scratch
folder there; what comes of it is taken in as any upload is.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.backend import Backend
from backend.door.apart_questions import ApartFacts, SeparateQuestion, SplitQuestion
from backend.door.door import DOOR
from backend.problems import WrongFieldError
from backend.prompt_sets.store import PromptSets
from backend.prompt_sets.views import MadeApartView, Separation, Split

MAX_SET_BYTES = 500_000_000


def separate_set(
    backend: Backend, sets: PromptSets, set_id: str, request: Separation
) -> MadeApartView:
    """Make a training set without the lines that a held-out set has.

    Raises:
        NotFoundError: there is no such set.
        WrongFieldError: the file is too large to be rewritten here.
        DatasetError: lines cannot be used, or none would be left.
    """
    training, held_out = _file(sets, set_id), _file(sets, request.held_out)
    with _scratch(backend, 1) as (target,):
        question = SeparateQuestion(
            training=training, held_out=held_out, target=target, read_as=request.read_as
        )
        done = DOOR.ask(question, ApartFacts)
        name = f"{_stem(sets, set_id)} without held-out lines.jsonl"
        made = sets.take_in(target, name)
    return MadeApartView(training=made, held_out=sets.get(request.held_out), **done.model_dump())


def split_set(backend: Backend, sets: PromptSets, set_id: str, request: Split) -> MadeApartView:
    """Make a training and a held-out set of one, drawn by the seed.

    Raises:
        NotFoundError: there is no such set.
        WrongFieldError: the file is too large to be rewritten here.
        DatasetError: lines cannot be used, or there is too little to split.
    """
    source, stem = _file(sets, set_id), _stem(sets, set_id)
    with _scratch(backend, 2) as targets:
        question = SplitQuestion(
            source=source,
            training=targets[0],
            held_out=targets[1],
            read_as=request.read_as,
            share=request.share,
            seed=request.seed,
        )
        done = DOOR.ask(question, ApartFacts)
        drawn = f"{request.share:.0%}, seed {request.seed}"
        held_out = sets.take_in(targets[1], f"{stem} held out ({drawn}).jsonl")
        training = sets.take_in(targets[0], f"{stem} training part ({drawn}).jsonl")
    return MadeApartView(training=training, held_out=held_out, **done.model_dump())


def _stem(sets: PromptSets, set_id: str) -> str:
    # A name has at most 120 characters.
    return Path(sets.get(set_id).name).stem[:60]


def _file(sets: PromptSets, set_id: str) -> Path:
    file = sets.file_of(set_id)
    if file.stat().st_size > MAX_SET_BYTES:
        most = MAX_SET_BYTES // 1_000_000
        message = f"Files of more than {most} MB are taken apart by: opd data separate, split."
        raise WrongFieldError("path.set_id", message)
    return file


@contextmanager
def _scratch(backend: Backend, count: int) -> Iterator[list[Path]]:
    """Names of files that are gone afterwards."""
    files = [backend.settings.scratch / f"{secrets.token_hex(8)}.jsonl" for _ in range(count)]
    try:
        yield files
    finally:
        for file in files:
            file.unlink(missing_ok=True)
