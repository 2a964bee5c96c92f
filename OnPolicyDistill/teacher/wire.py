"""What a served teacher is asked and what it answers, in the forms of vLLM, sglang and our own.

Our own form is vLLM's request with an extension, `distill`, that asks for what a run needs of a
few positions: hidden states, or top-k logprobs at any temperature beside ids that are given. It
is answered in arrays, bit for bit what the model made.

Answers come from elsewhere: one that is not as it should be is an `AnswerError`, whatever it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.settings.endpoint import Server
from OnPolicyDistill.teacher.packed import AnswerError, Packed, as_list, as_object, unpacked

# What vLLM writes for -inf, which JSON has not.
NO_MASS = -9999.0
# Logprobs are float32: what they leave of 1 is known to about this much. The tail is at least that,
# which can only lower a divergence.
SMALLEST_TAIL = 1e-7
MAX_ID_DIGITS = 10
PATHS: Mapping[Server, str] = {
    "vllm": "/v1/completions",
    "sglang": "/generate",
    "opd": "/v1/completions",
}


Row = tuple[Packed, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a served teacher: logprobs of the `top_k` best, or hidden states where 0.

    `vocab_size` is how many tokens student and teacher share, `teacher` the fingerprint of the one
    that our own server is expected to serve.
    """

    model: str
    server: Server
    vocab_size: int
    top_k: int = 0
    temperature: float = 1.0
    teacher: str = ""


def question(rows: Sequence[Rollout], wanted: Wanted) -> dict[str, JsonValue]:
    """The body that asks for the completions of `rows`."""
    ids: list[JsonValue] = [list(row.token_ids) for row in rows]
    if wanted.server == "sglang":
        return {
            "input_ids": ids,
            "sampling_params": {"max_new_tokens": 1, "temperature": 1.0},
            "return_logprob": True,
            "logprob_start_len": 0,
            "top_logprobs_num": wanted.top_k,
            "return_text_in_logprobs": True,
        }
    body: dict[str, JsonValue] = {
        "model": wanted.model,
        "prompt": ids,
        "max_tokens": 1,
        "temperature": 1.0,
        "prompt_logprobs": wanted.top_k,
        "add_special_tokens": False,
    }
    if wanted.server == "opd":
        body["distill"] = _extension(rows, wanted)
    return body


def _extension(rows: Sequence[Rollout], wanted: Wanted) -> JsonValue:
    also: list[JsonValue] = []
    for row in rows if wanted.top_k else ():
        tops: list[list[int]] = [list(top.ids[: wanted.top_k]) for top in row.top_logprobs]
        tops += [[]] * (len(row.completion_ids) - len(tops))
        # As the teacher in this process: a position without them has id 0, scored like any other.
        also.append([[*ids, *[0] * (wanted.top_k - len(ids))] for ids in tops])
    return {
        "teacher": wanted.teacher,
        "vocab_size": wanted.vocab_size,
        "starts": [len(row.prompt_ids) for row in rows],
        "top_k": wanted.top_k,
        "temperature": wanted.temperature,
        "also_ids": also,
    }


def read_answer(answer: JsonValue, rows: Sequence[Rollout], wanted: Wanted) -> list[Row]:
    """What the answer says of each row's completion, in the order of `Targets.arrays`.

    Raises:
        AnswerError: it is not what was asked for.
    """
    if wanted.server == "opd":
        choices = _choices(answer, len(rows))
        return [_arrays(c, row, wanted) for c, row in zip(choices, rows, strict=True)]
    told = read_positions(answer, [row.token_ids for row in rows], wanted.server)
    return [_few(p[len(row.prompt_ids) :], row, wanted) for p, row in zip(told, rows, strict=True)]


@dataclass(frozen=True, slots=True)
class Position:
    """What is told of one position: logprobs by id, and the text of the token that is there."""

    logprobs: Mapping[int, float]
    text: str | None


def read_positions(
    answer: JsonValue, rows: Sequence[Sequence[int]], server: Server
) -> list[list[Position]]:
    """Each row's positions; of the first one, which nothing predicts, nothing is told.

    Raises:
        AnswerError: the answer is not whole, or not about these tokens.
    """
    told = _told_by_sglang(answer, rows) if server == "sglang" else _told_by_vllm(answer, rows)
    for row, positions in zip(rows, told, strict=True):
        if len(positions) != len(row):
            raise AnswerError(f"tells of {len(positions)} positions of {len(row)}")
        for token, position in zip(row[1:], positions[1:], strict=True):
            if token not in position.logprobs:
                raise AnswerError(f"has no logprob of the given token {token}")
    return told


def _told_by_vllm(answer: JsonValue, rows: Sequence[Sequence[int]]) -> list[list[Position]]:
    told: list[list[Position]] = []
    for choice, row in zip(_choices(answer, len(rows)), rows, strict=True):
        positions = as_list(choice.get("prompt_logprobs"), "prompt_logprobs")
        if len(positions) != len(row):
            raise AnswerError(f"tells of {len(positions)} positions of {len(row)}")
        first: list[Position] = [Position({}, None)]
        told.append(first + [_entry(p, t) for p, t in zip(positions[1:], row[1:], strict=True)])
    return told


def _entry(entries: JsonValue, token: int) -> Position:
    """One position of vLLM's: ids are strings, the given token stands beside the k best."""
    logprobs: dict[int, float] = {}
    for key, about in as_object(entries, "a position").items():
        if not key.isdecimal() or len(key) > MAX_ID_DIGITS:
            raise AnswerError(f"has {key[:20]!r} where a token id belongs")
        logprobs[int(key)] = _logprob(as_object(about, "a token").get("logprob"))
    given = entries.get(str(token)) if isinstance(entries, dict) else None
    text = given.get("decoded_token") if isinstance(given, dict) else None
    return Position(logprobs, text if isinstance(text, str) else None)


def _told_by_sglang(answer: JsonValue, rows: Sequence[Sequence[int]]) -> list[list[Position]]:
    answers = [answer] if isinstance(answer, dict) else as_list(answer, "the answer")
    if len(answers) != len(rows):
        raise AnswerError(f"has {len(answers)} rows of {len(rows)}")
    told: list[list[Position]] = []
    for one in answers:
        about = as_object(as_object(one, "a row").get("meta_info"), "meta_info")
        given = as_list(about.get("input_token_logprobs"), "input_token_logprobs")
        best = as_list(about.get("input_top_logprobs"), "input_top_logprobs")
        if len(given) != len(best):
            raise AnswerError("has unequal numbers of positions")
        positions: list[Position] = [Position({}, None)]
        for token, others in zip(given[1:], best[1:], strict=True):
            listed = [_triple(t) for t in [*as_list(others or [], "a position"), token]]
            positions.append(Position({i: lp for lp, i, _ in listed}, listed[-1][2]))
        told.append(positions)
    return told


def _triple(value: JsonValue) -> tuple[float, int, str | None]:
    """Logprob, id and text."""
    parts = as_list(value, "a token")
    token = parts[1] if len(parts) > 1 else None
    if not isinstance(token, int) or token < 0:
        raise AnswerError("has a token without an id")
    text = parts[2] if len(parts) > 2 else None
    return _logprob(parts[0]), token, text if isinstance(text, str) else None


def _few(positions: Sequence[Position], row: Rollout, wanted: Wanted) -> Row:
    """Top-k targets of a completion: the k best, the given token, and the tail."""
    num_ids = wanted.top_k + 1
    shape = (len(positions), num_ids)
    ids, logprobs = np.zeros(shape, "<u4"), np.full(shape, -np.inf, "<f4")
    tails, tops = np.empty(shape[0], "<f4"), np.empty(shape[0], "<u4")
    labels = np.empty(shape[0], "<f4")
    for n, (token, position) in enumerate(zip(row.completion_ids, positions, strict=True)):
        best = sorted(position.logprobs.items(), key=lambda item: -item[1])
        # Tokens that the student has not, and what has no mass, belong to the tail.
        kept = [(i, lp) for i, lp in best if i < wanted.vocab_size and lp > -math.inf][:num_ids]
        if not kept:
            raise AnswerError("has a position without any mass")
        ids[n] = kept[0][0]  # padding repeats an id of its row
        ids[n, : len(kept)] = [i for i, _ in kept]
        logprobs[n, : len(kept)] = [lp for _, lp in kept]
        mass = math.fsum(math.exp(lp) for _, lp in kept)
        tails[n] = math.log(max(1.0 - mass, SMALLEST_TAIL))
        tops[n], labels[n] = kept[0][0], position.logprobs[token]
    return tuple(
        Packed(name, array.shape, array.tobytes())
        for name, array in zip(
            ("uint32", "float32", "float32", "uint32", "float32"),
            (ids, logprobs, tails, tops, labels),
            strict=True,
        )
    )


def _arrays(choice: Mapping[str, JsonValue], row: Rollout, wanted: Wanted) -> Row:
    listed = as_list(choice.get("distill"), "distill")
    if len(listed) != (5 if wanted.top_k else 1):
        raise AnswerError(f"has {len(listed)} arrays for a row")
    arrays = tuple(unpacked(value) for value in listed)
    if any(array.shape[0] != len(row.completion_ids) for array in arrays):
        raise AnswerError("has arrays of another length than the completion")
    return arrays


def _choices(answer: JsonValue, num_rows: int) -> list[Mapping[str, JsonValue]]:
    """The rows of a completion, by their index."""
    listed = [
        as_object(c, "a choice")
        for c in as_list(as_object(answer, "the answer").get("choices"), "choices")
    ]
    by_index = {choice.get("index"): choice for choice in listed}
    if len(listed) != num_rows or any(i not in by_index for i in range(num_rows)):
        raise AnswerError(f"has {len(listed)} rows of {num_rows}")
    return [by_index[i] for i in range(num_rows)]


def _logprob(value: JsonValue) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= 0.01:
        raise AnswerError("has something else where a logprob belongs")
    return -math.inf if value <= NO_MASS else min(float(value), 0.0)
