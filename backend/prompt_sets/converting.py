"""Sets of other layouts made into sets that are trained on, as new uploads."""

from __future__ import annotations

import secrets
from pathlib import Path

from backend.backend import Backend
from backend.problems import WrongFieldError
from backend.prompt_sets.store import PromptSets
from backend.prompt_sets.views import ConversionRequest, ConvertedView, LayoutView
from OnPolicyDistill.datasets.conversion import (
    CONVERSATIONS,
    INPUTS,
    LAYOUT_NAMES,
    PROMPTS,
    Wanted,
    convert,
    guess_layout,
)
from OnPolicyDistill.datasets.mapping import MEANINGS
from OnPolicyDistill.datasets.written_forms import FORMS

SHOWN_COLUMNS = 60
MAX_SET_BYTES = 500_000_000


def read_layout(file: Path) -> LayoutView:
    """Say what a file looks like.

    Raises:
        DatasetError: it cannot be read.
    """
    guess = guess_layout(file)
    return LayoutView(
        layout=guess.layout,
        is_ready=guess.layout in (CONVERSATIONS, PROMPTS, INPUTS),
        columns=guess.columns[:SHOWN_COLUMNS],
        layouts=LAYOUT_NAMES,
        meanings=MEANINGS,
        forms=FORMS,
    )


def convert_set(
    backend: Backend, sets: PromptSets, set_id: str, request: ConversionRequest
) -> ConvertedView:
    """Make a new set of one, in the workspace; the old one stays.

    Raises:
        NotFoundError: there is no such set.
        WrongFieldError: there is no such layout, or the file is too large to be converted here.
        DatasetError: lines cannot be used.
    """
    source, name = sets.file_of(set_id), sets.get(set_id).name
    if request.layout is not None and request.layout not in LAYOUT_NAMES:
        raise WrongFieldError("body.layout", f"There is no layout {request.layout}.")
    if source.stat().st_size > MAX_SET_BYTES:
        most = MAX_SET_BYTES // 1_000_000
        message = f"Files of more than {most} MB are converted by: opd data convert."
        raise WrongFieldError("path.set_id", message)
    target = backend.settings.scratch / f"{secrets.token_hex(8)}.jsonl"
    try:
        done = convert(source, target, Wanted(request.form, request.layout, request.mapping))
        made = sets.take_in(target, f"{Path(name).stem} as {done.form}.jsonl")
    finally:
        target.unlink(missing_ok=True)
    return ConvertedView(
        set=made,
        layout=done.layout,
        form=done.form,
        num_lines=done.num_lines,
        num_left_out=done.num_left_out,
    )
