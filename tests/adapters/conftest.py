from collections.abc import Callable
from pathlib import Path

import pytest

from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer

TEXTS = ["the third of March 1998, half past six", "1998-03-03 18:30", "user assistant system"] * 2


def write_tiny_model(folder: Path, tied: bool = True, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, TEXTS, 280)
    shape = TinyShape(
        hidden_size=64,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        intermediate_size=128,
        logit_width=320,
        tied=tied,
    )
    write_random_model(folder, shape, seed)
    return folder


@pytest.fixture(scope="session")
def tied_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tied"))


@pytest.fixture(scope="session")
def untied_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("untied"), tied=False, seed=1)


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A model folder that a test may damage."""
    return write_tiny_model(tmp_path / "model")


@pytest.fixture
def read_bytes() -> Callable[[], int]:
    """How many bytes this process has read from files so far, where the system counts them."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        pytest.skip("the system does not count what a process reads")

    def count() -> int:
        return int(counters.read_text().split()[1])  # rchar, first of the lines

    return count
