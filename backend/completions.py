"""Completions of the same prompts by several runs, side by side, from their newest rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field
from pydantic_core import from_json

from backend.backend import Backend
from backend.folder import parse_rollout
from backend.history.lines import LineFile
from backend.history.views import View

# What is looked at of each run, from the newest rollout back.
MAX_BYTES = 32_000_000
BLOCK_LINES = 64
MAX_TEXT = 20_000


class RunCompletion(View):
    """One of the completions with which a run's student answered a prompt last."""

    step: int
    text: str = Field(description="Cut after 20,000 characters.")
    num_tokens: int
    finish_reason: Literal["stop", "length"]
    mean_divergence: float | None = Field(
        description="From the run's teacher, nats a token; null where none was measured."
    )
    offset: int = Field(description="Byte of its whole rollout, for rollouts/{position}.")


class SamePrompt(View):
    """A prompt and every run's completions of it, from the run's newest step that has it."""

    prompt: str
    pictures: tuple[str, ...] = Field((), description="Digests, in order, as the model read them.")
    completions: tuple[tuple[RunCompletion, ...], ...] = Field(
        description="In the order of `runs`; none where a run did not sample the prompt, several "
        "where the step did so more than once."
    )


# Words and pictures: equal words about different pictures are different prompts.
Asked = tuple[str, tuple[str, ...]]


class CompletionPage(View):
    """Prompts that at least two of the runs have, those of most runs first."""

    runs: tuple[str, ...]
    prompts: tuple[SamePrompt, ...]
    total: int = Field(description="Prompts that can be asked for.")
    is_complete: bool = Field(description="False where older rollouts were not looked at.")


def same_prompts(
    backend: Backend, run_ids: tuple[str, ...], step: int | None, offset: int, limit: int
) -> CompletionPage:
    """Match the runs' rollouts by their prompts: the words and the pictures as they were read.

    Raises:
        RunError: a line of rollouts is damaged.
    """
    files = [backend.rollouts(run_id) for run_id in run_ids]
    found = [_newest_by_prompt(lines, step) for lines in files]
    counts = Counter(asked for numbers, _ in found for asked in numbers)
    shared = [asked for asked, count in counts.most_common() if count > 1]
    return CompletionPage(
        runs=run_ids,
        prompts=tuple(
            SamePrompt(
                prompt=asked[0],
                pictures=asked[1],
                completions=tuple(
                    tuple(_completion(lines, number) for number in numbers.get(asked, ()))
                    for lines, (numbers, _) in zip(files, found, strict=True)
                ),
            )
            for asked in shared[offset : offset + limit]
        ),
        total=len(shared),
        is_complete=all(is_complete for _, is_complete in found),
    )


def _newest_by_prompt(
    lines: LineFile, step: int | None
) -> tuple[dict[Asked, tuple[int, ...]], bool]:
    """Return the lines of each prompt's newest step, and whether all lines were looked at.

    Read backwards, a line of a later step than one behind it was undone by a resume, and so was
    one with the step and place of a line behind it.
    """
    newest: dict[Asked, _Newest] = {}
    lowest, num_bytes = 2**53 if step is None else step, 0
    for number, line in _backwards(lines):
        num_bytes += len(line)
        if num_bytes > MAX_BYTES:
            return _numbers(newest), False
        record = _opening(line)
        if record is None or record.step > lowest:
            continue
        lowest = record.step
        if record.source == "student":
            newest.setdefault(record.asked, _Newest(record.step)).take(record, number)
    return _numbers(newest), True


@dataclass(frozen=True, slots=True)
class _Opening:
    """What has to be known of every line; `place` is its place in the step."""

    step: int
    place: int
    source: str
    asked: Asked


@dataclass(slots=True)
class _Newest:
    """Lines of one step by their place in it."""

    step: int
    by_place: dict[int, int] = field(default_factory=dict)

    def take(self, record: _Opening, number: int) -> None:
        if record.step == self.step:
            self.by_place.setdefault(record.place, number)


def _numbers(newest: dict[Asked, _Newest]) -> dict[Asked, tuple[int, ...]]:
    return {
        asked: tuple(number for _, number in sorted(of_step.by_place.items()))
        for asked, of_step in newest.items()
    }


def _backwards(lines: LineFile) -> Iterator[tuple[int, bytes]]:
    end = len(lines)
    while end > 0:
        begin = max(end - BLOCK_LINES, 0)
        block: list[bytes] = []
        while len(block) < end - begin:
            block += lines.read(begin + len(block), end - begin - len(block))
        yield from reversed(list(enumerate(block, start=begin)))
        end = begin


def _opening(line: bytes) -> _Opening | None:
    """Read how a line begins; None for a damaged line, which a page of rollouts names."""
    try:
        record = from_json(line)
        step, place = int(record["step"]), int(record["index"])
        asked = str(record["prompt"]), tuple(map(str, record.get("pictures", ())))
        return _Opening(step, place, str(record["source"]), asked)
    except (ValueError, KeyError, TypeError):
        return None


def _completion(lines: LineFile, number: int) -> RunCompletion:
    record = parse_rollout(lines.read(number, 1)[0])
    return RunCompletion(
        step=record.step,
        text=record.completion[:MAX_TEXT],
        num_tokens=len(record.token_ids),
        finish_reason=record.finish_reason,
        mean_divergence=record.mean_divergence,
        offset=lines.start_of(number),
    )
