"""Every architecture learns, and docs/architectures.md says of each what was seen."""

from pathlib import Path

import pytest

from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.recurrences import give_recurrences_gradients
from OnPolicyDistill.planning.architectures import ARCHITECTURES, REMAPPED
from tests.architectures.learning import CHECKS, EXCEPTIONS, seen
from tests.architectures.table import CORE, FILE, TABLED, read_table, written
from tests.architectures.test_sampling import OFTEN, TWO_MODELS
from tests.architectures.tiny import ALL
from tests.models.conftest import write_tiny_model


@pytest.fixture(scope="module")
def like(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """What lends its tokenizer; the models under test have none."""
    give_recurrences_gradients()
    return load_policy(str(write_tiny_model(tmp_path_factory.mktemp("like"))))


@pytest.mark.parametrize(
    "architecture",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in TABLED],
)
def test_an_architecture_learns_and_what_it_learned_is_read_back(
    architecture: str, tmp_path: Path, like: Policy
) -> None:
    found = seen(architecture, tmp_path, like)
    assert found == {check: (architecture, check) not in EXCEPTIONS for check in CHECKS}


def test_the_table_in_the_documentation_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == written(read_table())


def test_what_is_listed_as_trainable_was_seen_to_be_and_the_other_way_round() -> None:
    rows = read_table()
    named = {
        name: each for name, each in ARCHITECTURES.items() if name in rows or name not in REMAPPED
    }
    trains = {name for name, each in named.items() if each.train} - {"grafted_qwen3"}
    assert trains == {name for name, row in rows.items() if all(row[check] for check in CORE)}
    samples = {name for name, each in named.items() if each.sample} - {"grafted_qwen3"}
    assert samples & trains == {name for name in trains if rows[name]["re-scored"]}
    # The suite of sampling sees these, which is all that they do.
    assert samples - trains <= frozenset(ALL) - TWO_MODELS
