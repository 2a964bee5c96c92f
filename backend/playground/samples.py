"""Prompts to ask, drawn from the files that a run learned from and was measured on."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import Field

from backend.history.views import View
from backend.paths import PathError, probe
from backend.prompt_sets.linter import Linter
from OnPolicyDistill.config import settings_of
from OnPolicyDistill.datasets.kinds import kind_of
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.runs.directory import RunDirectory

# Windows of so many lines: a file of any length costs no more than the last of them.
WINDOW = 100
NUM_WINDOWS = 10


class SamplePrompt(View):
    """A line of one of a run's files."""

    source: str = Field(description="Which file, in the run's own words.")
    line: int
    text: str
    answer: str | None = None


def samples_of(
    run: RunDirectory, linter: Linter, seed: int, limit: int
) -> tuple[SamplePrompt, ...]:
    """Draw lines without pictures, equally many of each file; files that are gone have none."""
    settings = settings_of(run.config())
    values = settings.model_dump()
    files = [
        (file.title, _path(str(values[file.key])))
        for file in facts_of(settings).files
        if values.get(file.key)
    ]
    there = [(title, path) for title, path in files if path is not None and path.is_file()]
    drawn = [_of_file(title, path, linter, seed) for title, path in there]
    share = -(-limit // len(drawn)) if drawn else 0
    return tuple(sample for many in drawn for sample in many[:share])[:limit]


def _path(text: str) -> Path | None:
    """A file as the run names it, which may be a run from elsewhere; None where none can be so."""
    try:
        return probe(text)
    except PathError:
        return None


def _of_file(title: str, path: Path, linter: Linter, seed: int) -> list[SamplePrompt]:
    generator = random.Random(seed)
    window = generator.randrange(NUM_WINDOWS) * WINDOW
    try:
        kind = kind_of(path)
        items = linter.preview(path, kind, None, window, WINDOW).items
        items = items or linter.preview(path, kind, None, 0, WINDOW).items
    except DatasetError:
        return []
    usable = [item for item in items if item.problem is None and item.text and not item.pictures]
    return [
        SamplePrompt(source=title, line=item.line, text=item.text, answer=item.answer)
        for item in generator.sample(usable, len(usable))
    ]
