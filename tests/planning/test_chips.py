"""Chips: found by name, told apart by what a Mac says, scaled where they are not known."""

import pytest

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.machine import Mac
from OnPolicyDistill.planning import chips
from OnPolicyDistill.planning.chips import CHIPS, OTHER_PROCESSOR, chip_of, find_chip, this_chip


@pytest.mark.parametrize("name", ["m3-ultra", "M3 Ultra", "Apple M3 Ultra\n", "m3_ultra"])
def test_chips_are_found_by_any_usual_spelling(name):
    assert find_chip(name) == CHIPS["m3-ultra"]


def test_a_chip_that_is_nearly_one_is_asked_about():
    with pytest.raises(InputError, match=r"no chip 'm3-ulta' in the table\. Is it m3-ultra\?"):
        find_chip("m3-ulta")


@pytest.mark.parametrize("name", ["x9", "", "m", "m0", "m3-mega", "m3-max-0", "intel"])
def test_what_is_no_chip_of_apple_is_refused(name):
    with pytest.raises(InputError, match="no chip"):
        find_chip(name)


@pytest.mark.parametrize(
    ("brand", "cores", "bandwidth"),
    [
        ("Apple M3 Max", 40, 400),
        ("Apple M3 Max", 30, 300),
        ("Apple M4 Max", 40, 546),
        ("Apple M4 Max", 32, 410),
        ("Apple M5 Max", 32, 460),
        ("Apple M5 Ultra", 80, 1200),
        ("Apple M6", 12, 170),
    ],
)
def test_chips_of_one_name_are_told_apart_by_their_gpu_cores(brand, cores, bandwidth):
    chip = chip_of(Mac(brand, cores, (26, 3)))
    assert chip.bandwidth_gb_s == bandwidth
    assert chip.gpu_cores == cores
    assert chip.source == "known"


def test_fewer_cores_multiply_less():
    full, fewer = find_chip("m1-max"), find_chip("m1-max-24")
    assert fewer.operations_per_second == pytest.approx(0.75 * full.operations_per_second)
    assert fewer.bytes_per_second == full.bytes_per_second


def test_a_known_chip_with_an_unheard_number_of_cores_says_that_it_is_estimated():
    chip = chip_of(Mac("Apple M4 Pro", 18, (15, 1)))
    assert (chip.source, chip.bandwidth_gb_s) == ("estimated", 273)
    assert "18 GPU cores" in chip.note


@pytest.mark.parametrize("name", ["m6-pro", "m6-max", "m6-ultra"])
def test_an_unpublished_m6_is_scaled_from_the_m5_and_said_to_be_an_estimate(name):
    chip, before = find_chip(name), find_chip(name.replace("6", "5"))
    assert chip.source == "estimated"
    assert before.name in chip.note
    assert before.bandwidth_gb_s < chip.bandwidth_gb_s < 1.2 * before.bandwidth_gb_s
    assert before.tflops < chip.tflops < 1.3 * before.tflops


@pytest.mark.parametrize(
    ("brand", "cores", "like"),
    [
        ("Apple M7 Max", 40, "m5-max"),
        ("Apple M9 Ultra", 80, "m5-ultra"),
        ("Apple M7", 12, "m6"),
        ("Apple M12 Pro", 20, "m5-pro"),
        ("Apple processor", 12, "m6"),
        ("", None, "m6"),
    ],
)
def test_an_unknown_mac_is_the_newest_known_of_its_tier_and_never_another_processor(
    brand, cores, like
):
    chip = chip_of(Mac(brand, cores, (27, 0)))
    assert chip.source == "unknown"
    assert like in chip.note
    assert chip.bandwidth_gb_s == CHIPS[like].bandwidth_gb_s
    assert chip.tflops == CHIPS[like].tflops


def test_an_unknown_chip_is_scaled_by_the_cores_that_it_says_it_has():
    chip = chip_of(Mac("Apple M7 Max", 60, (27, 0)))
    assert chip.tflops == pytest.approx(1.5 * CHIPS["m5-max"].tflops)
    assert chip.bandwidth_gb_s == pytest.approx(1.5 * CHIPS["m5-max"].bandwidth_gb_s)


def test_accelerators_count_from_the_macos_that_mlx_can_use_them_on():
    old, new = (chip_of(Mac("Apple M5 Pro", 20, version)) for version in ((26, 1), (26, 2)))
    assert new.operations_per_second > 2 * old.operations_per_second
    assert "26.2" in old.note
    assert new.note == ""
    assert chip_of(Mac("Apple M4 Pro", 20, (15, 0))).note == ""


def test_a_machine_that_is_no_mac_is_another_processor(monkeypatch):
    monkeypatch.setattr(chips, "this_mac", lambda: None)
    assert this_chip() is OTHER_PROCESSOR
    monkeypatch.setattr(chips, "this_mac", lambda: Mac("Apple M2 Max", 30, (14, 0)))
    assert this_chip().name == "m2-max-30"
