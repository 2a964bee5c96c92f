"""What a served teacher is asked and what is made of its answers, in recorded forms."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.packed import AnswerError, Packed, packed, to_mlx, unpacked
from OnPolicyDistill.teacher.wire import SMALLEST_TAIL, Wanted, question, read_answer

ROW = Rollout(0, (5, 6), (7, 8), (), "stop")
VLLM = Wanted("big", "vllm", vocab_size=20, top_k=2)
SGLANG = Wanted("big", "sglang", vocab_size=20, top_k=2)


def entry(logprob: float, rank: int, text: str) -> dict[str, Any]:
    return {"logprob": logprob, "rank": rank, "decoded_token": text}


# As vLLM answers two prompts of ids with prompt_logprobs 2: the given token stands beside the best.
RECORDED: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "big",
    "choices": [
        {
            "index": 0,
            "text": " the",
            "logprobs": None,
            "finish_reason": "length",
            "stop_reason": None,
            "prompt_logprobs": [
                None,
                {"6": entry(-0.5, 1, "b"), "2": entry(-2.0, 2, "c")},
                {
                    "3": entry(-0.25, 1, "d"),
                    "25": entry(-2.5, 2, "?"),
                    "7": entry(-4.0, 9, "e"),
                },
                {"8": entry(-0.0, 1, "f"), "4": entry(-9999.0, 2, "g")},
            ],
        }
    ],
    "usage": {"prompt_tokens": 4, "total_tokens": 5, "completion_tokens": 1},
}
# The same as sglang answers: [logprob, id, text], the given tokens apart.
SGLANG_RECORDED: list[dict[str, Any]] = [
    {
        "text": " the",
        "meta_info": {
            "prompt_tokens": 4,
            "input_token_logprobs": [
                [None, 5, "a"],
                [-0.5, 6, "b"],
                [-4.0, 7, "e"],
                [-0.0, 8, "f"],
            ],
            "input_top_logprobs": [
                None,
                [[-0.5, 6, "b"], [-2.0, 2, "c"]],
                [[-0.25, 3, "d"], [-2.5, 25, "?"]],
                [[-0.0, 8, "f"], [-9999.0, 4, "g"]],
            ],
        },
    }
]


def arrays(row: tuple[Packed, ...]) -> list[np.ndarray[Any, Any]]:
    return [np.array(to_mlx(array)) for array in row]


def test_vllm_is_asked_for_the_logprobs_of_token_ids_and_for_no_special_tokens() -> None:
    assert question([ROW], VLLM) == {
        "model": "big",
        "prompt": [[5, 6, 7, 8]],
        "max_tokens": 1,
        "temperature": 1.0,
        "prompt_logprobs": 2,
        "add_special_tokens": False,
    }


@pytest.mark.parametrize(("wanted", "answer"), [(VLLM, RECORDED), (SGLANG, SGLANG_RECORDED)])
def test_a_recorded_answer_becomes_the_targets_of_the_completion(
    wanted: Wanted, answer: Any
) -> None:
    ids, logprobs, tails, tops, labels = arrays(read_answer(answer, [ROW], wanted)[0])
    # Token 25 is none of the student's, token 4 has no mass: both belong to the tail.
    assert ids.tolist() == [[3, 7, 3], [8, 8, 8]]
    assert logprobs[0].tolist() == [-0.25, -4.0, -math.inf]
    assert logprobs[1].tolist() == [0.0, -math.inf, -math.inf]
    assert tails[0] == pytest.approx(math.log(1 - math.exp(-0.25) - math.exp(-4.0)), rel=1e-6)
    assert tails[1] == pytest.approx(math.log(SMALLEST_TAIL), rel=1e-6)
    assert tops.tolist() == [3, 8]
    assert labels.tolist() == [-4.0, 0.0]


Change = Callable[[dict[str, Any], list[Any]], object]

# What is wrong with an answer, made of its one row and the positions of that.
WRONG: dict[str, Change] = {
    "short": lambda _, told: told.pop(),
    "no given token": lambda _, told: told[2].pop("7"),
    "no number": lambda _, told: told[2]["7"].update(logprob="NaN"),
    "not a number": lambda _, told: told[2]["7"].update(logprob=math.nan),
    "too likely": lambda _, told: told[2]["7"].update(logprob=3.0),
    "no id": lambda _, told: told[2].update(x=entry(-1.0, 1, "")),
    "an endless id": lambda _, told: told[2].update({"9" * 5000: entry(-1.0, 1, "")}),
    "null inside": lambda _, told: told.__setitem__(2, None),
    "another row": lambda choice, _: choice.update(index=4),
    "no list": lambda choice, _: choice.update(prompt_logprobs=None),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_not_about_these_tokens_is_no_answer(wrong: str) -> None:
    answer = copy.deepcopy(RECORDED)
    (choice,) = answer["choices"]
    WRONG[wrong](choice, choice["prompt_logprobs"])
    with pytest.raises(AnswerError):
        read_answer(answer, [ROW], VLLM)


@pytest.mark.parametrize("answer", [None, [], {}, {"choices": []}, {"choices": "none"}])
def test_an_answer_of_another_form_is_no_answer(answer: Any) -> None:
    for wanted in (VLLM, SGLANG):
        with pytest.raises(AnswerError):
            read_answer(answer, [ROW], wanted)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16, mx.uint32])
def test_an_array_arrives_bit_for_bit_in_its_own_type(dtype: mx.Dtype) -> None:
    sent = (mx.arange(12).reshape(3, 4) * 1.3).astype(dtype)
    got = to_mlx(unpacked(json.loads(json.dumps(packed(sent)))))
    assert got.dtype == dtype
    assert mx.array_equal(got, sent)


def test_an_array_that_is_cut_off_is_told() -> None:
    whole = packed(mx.zeros((3, 4)))
    for changes in ({"data": str(whole["data"])[:-4]}, {"shape": [3, 5]}, {"dtype": "object"}):
        with pytest.raises(AnswerError):
            unpacked({**whole, **changes})


def test_our_own_server_is_asked_for_ids_at_every_position() -> None:
    body = question([ROW], Wanted("big", "opd", 20, top_k=2, temperature=2.0, teacher="f"))
    assert body["distill"] == {
        "teacher": "f",
        "vocab_size": 20,
        "starts": [2],
        "top_k": 2,
        "temperature": 2.0,
        "also_ids": [[[0, 0], [0, 0]]],
    }
