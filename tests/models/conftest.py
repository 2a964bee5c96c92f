from pathlib import Path

import pytest

from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.settings.sight import SightSettings
from tests.seeing_models import FAMILIES, write_seeing_model

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


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family that sees."""
    return {
        family: write_seeing_model(tmp_path_factory.mktemp(family), family) for family in FAMILIES
    }


@pytest.fixture(params=FAMILIES)
def policy(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Policy:
    """A policy of each family that sees."""
    return load_policy(str(folders[request.param]), sight=SightSettings(min_pixels=784))
