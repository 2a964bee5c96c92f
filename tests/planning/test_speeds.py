"""The forecast of time against published speeds: half of the rows are fitted, half only checked."""

import statistics
from dataclasses import asdict

import pytest

from benchmarks.fit_speeds import fit, halves, off, published, ratio
from OnPolicyDistill.planning.chips import find_chip
from OnPolicyDistill.planning.dimensions import parse_dimensions, weight_bytes
from OnPolicyDistill.planning.models import ModelFacts, describe_model
from OnPolicyDistill.planning.passes import decode_seconds, read_seconds
from OnPolicyDistill.planning.speeds import METAL

ROWS = published().rows
FITTED, CHECKED = halves(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_every_published_speed_is_forecast_within_a_half(row):
    assert 1 / 1.5 < ratio(row) < 1.5


@pytest.mark.parametrize("half", [FITTED, CHECKED], ids=["fitted", "only checked"])
def test_the_median_of_each_half_is_within_a_seventh(half):
    assert statistics.median(off(half)) < 1.15
    assert 1 / 1.15 < statistics.median(ratio(row) for row in half) < 1.15


def test_both_halves_hold_every_kind_of_row():
    for half in (FITTED, CHECKED):
        kinds = {(row.what, row.bits < 16) for row in half}
        assert kinds >= {("read", True), ("decode", True), ("decode", False), ("gain", True)}
        assert any(row.what == "learn" for row in half)
        assert any(row.what == "decode" and row.rows > 1 for row in half)


def test_the_constants_are_those_that_the_fit_gives():
    found = asdict(fit(FITTED))
    assert found == pytest.approx(asdict(METAL), rel=0.02)


def test_rows_that_were_noted_before_are_forecast_better_now():
    noted = [row for row in ROWS if row.before is not None]
    before = [max(row.before / row.published, row.published / row.before) for row in noted]
    assert statistics.median(off(noted)) < statistics.median(before)
    assert max(off(noted)) < max(before)


def test_packed_rows_decoded_together_are_far_from_free():
    facts, chip = describe_model("qwen2.5-7b-4bit"), find_chip("m4-max")
    one, eight = (decode_seconds(facts, rows, 256, chip) for rows in (1, 8))
    assert 1.5 < eight / one < 4


def test_sixteen_bit_rows_decoded_together_are_nearly_free():
    facts, chip = describe_model("qwen2.5-7b"), find_chip("m4-max")
    one, eight = (decode_seconds(facts, rows, 256, chip) for rows in (1, 8))
    assert eight < 1.5 * one


def test_many_rows_never_cost_more_than_the_matrix_kernels():
    facts, chip = describe_model("qwen2.5-7b-4bit"), find_chip("m4-max")
    sixty_four, hundred = (decode_seconds(facts, rows, 0, chip) for rows in (64, 96))
    assert hundred - sixty_four == pytest.approx(32 * 2 * 7.07e9 / 6.8e12, rel=0.1)


def test_experts_are_read_slowly_by_short_passes():
    facts, chip = describe_model("qwen3-30b-a3b-instruct-2507-4bit"), find_chip("m4-max")
    short = 256 / read_seconds(facts, 256, 256, chip)
    assert short < 0.7 * 4096 / read_seconds(facts, 4096, 256, chip)


def test_a_pass_over_one_token_takes_as_long_as_reading_the_weights():
    facts, chip = describe_model("qwen2.5-7b"), find_chip("m4-max")
    assert read_seconds(facts, 1, 1, chip) == facts.decode_bytes(1) / chip.bytes_per_second


def test_a_model_without_experts_has_none_to_wait_for():
    config = {
        "model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 128, "vocab_size": 128,
    }  # fmt: skip
    dimensions = parse_dimensions(config, "tiny")
    facts = ModelFacts("tiny", dimensions, weight_bytes(dimensions), "registry", None, (), ())
    launching = 2 * METAL.layer_seconds
    assert decode_seconds(facts, 1, 0, find_chip("m4-max")) == pytest.approx(launching, rel=0.05)
