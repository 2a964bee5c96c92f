"""A question of the playground kept as a line of a prompt set."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated

from pydantic import Field

from backend.backend import Backend
from backend.history.views import View
from backend.problems import ConflictError
from backend.prompt_sets.store import PromptSets
from backend.prompt_sets.views import PromptSetView
from OnPolicyDistill.evaluation.playground_messages import Message
from OnPolicyDistill.files import append_whole, disk_errors, open_to_append

DEFAULT_NAME = "Kept from the playground"
MAX_ANSWER = 100_000


class KeptPrompt(View):
    """A conversation up to the question; where its answer is known, a line is graded by it."""

    messages: tuple[Message, ...] = Field(min_length=1, max_length=100)
    answer: Annotated[str, Field(min_length=1, max_length=MAX_ANSWER)] | None = None
    set_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,119}$")] | None = Field(
        None, description="An uploaded set of prompts that no run has used; null makes one."
    )
    name: Annotated[str, Field(min_length=1, max_length=120)] = Field(
        DEFAULT_NAME, description="Of the new set."
    )


def keep(backend: Backend, sets: PromptSets, kept: KeptPrompt) -> PromptSetView:
    """Add a line to a set.

    Raises:
        NotFoundError: there is no such set.
        ConflictError: the set is no file of ours, no set of prompts, or runs have used it.
        DatasetError: its file is gone.
        DiskFullError: there is no room for it.
    """
    line = json.dumps(_line(kept), ensure_ascii=False).encode() + b"\n"
    if kept.set_id is None:
        file = backend.settings.scratch / f"{secrets.token_hex(8)}.jsonl"
        with disk_errors(file):
            file.write_bytes(line)
        name = kept.name if kept.name.endswith(".jsonl") else f"{kept.name}.jsonl"
        return sets.take_in(file, name)
    found = sets.get(kept.set_id)
    _refuse_other(found)
    file = sets.file_of(kept.set_id)
    with disk_errors(file), open_to_append(file) as stream:
        append_whole(stream.fileno(), line)
    return sets.get(kept.set_id)


def _refuse_other(found: PromptSetView) -> None:
    if found.used_by:
        raise ConflictError(
            f"{found.name} is used by {len(found.used_by)} runs, which could not be repeated if it "
            "changed.",
            "Keep the prompt in a new set.",
            code="set_used",
        )
    if found.origin != "upload" or found.kind != "prompts" or Path(found.path).suffix != ".jsonl":
        raise ConflictError(
            f"{found.name} is no set of prompts that was made here.",
            "Keep the prompt in a new set.",
            code="set_not_ours",
        )


def _line(kept: KeptPrompt) -> dict[str, object]:
    """As few words as a line needs: one question is a prompt."""
    answer = {} if kept.answer is None else {"answer": kept.answer}
    first, *others = kept.messages
    if not others and first.role == "user":
        return {"prompt": first.content, **answer}
    return {
        "messages": [{"role": each.role, "content": each.content} for each in kept.messages],
        **answer,
    }
