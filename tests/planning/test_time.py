"""What is counted into the time of a run."""

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.planning.chips import find_chip
from OnPolicyDistill.planning.passes import decode_seconds
from OnPolicyDistill.planning.time import forecast_time
from OnPolicyDistill.planning.workload import PromptFacts, make_workload
from OnPolicyDistill.runs.held_out_answers import MOST_SHOWN_TOKENS, NUM_KEPT

CHIP = find_chip("m4-max")


def evaluation_seconds(num_held_out: int) -> float:
    config = parse_config({"sft": {"model": "qwen2.5-1.5b"}})
    work = make_workload(config, PromptFacts(100, 300, 400, "a file"), num_held_out)
    return forecast_time(work, CHIP).evaluation


def test_the_few_answers_of_fine_tuning_are_counted_once_an_evaluation():
    config = parse_config({"sft": {"model": "qwen2.5-1.5b"}})
    work = make_workload(config, PromptFacts(100, 300, 400, "a file"), NUM_KEPT)
    answers = MOST_SHOWN_TOKENS * decode_seconds(work.student, NUM_KEPT, MOST_SHOWN_TOKENS, CHIP)
    assert evaluation_seconds(0) == 0
    reading = evaluation_seconds(2 * NUM_KEPT) - evaluation_seconds(NUM_KEPT)
    assert evaluation_seconds(NUM_KEPT) == pytest.approx(reading + answers, rel=0.05)
