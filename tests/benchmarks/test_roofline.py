from benchmarks.roofline import CHIPS, at_light, row_of, rows
from OnPolicyDistill.planning.chips import find_chip


def test_no_forecast_is_faster_than_light() -> None:
    found = rows()
    assert {row.chip for row in found} == set(CHIPS)
    for row in found:
        for phase in ("sampling", "scoring", "learning"):
            assert getattr(row.light, phase) < getattr(row.forecast, phase)
        assert 0.3 < row.share < 1


def test_light_is_what_apple_publishes() -> None:
    chip = at_light(find_chip("m2-ultra"))
    assert chip.bytes_per_second == 800e9
    assert round(chip.operations_per_second / 1e12, 1) == round(76 * 0.358, 1)


def test_a_chips_rows_a_read_are_its_operations_over_its_bytes() -> None:
    assert round(row_of("default", find_chip("m2-ultra")).rows_a_read) == round(27.208e12 / 800e9)
