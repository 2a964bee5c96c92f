"""Tests run the real code on tiny models; OpenBLAS is loaded before anything imports MLX."""

import pytest

import OnPolicyDistill.arrays  # noqa: F401


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-rounds", type=int, default=1, help="How often damaged folders are made anew."
    )


@pytest.fixture
def fuzz_rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--fuzz-rounds"))
