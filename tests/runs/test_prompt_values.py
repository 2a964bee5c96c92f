"""Values by prompt are kept with the run, and go with the steps that a resume undoes."""

from pathlib import Path

import pytest

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.prompt_values import (
    PromptValues,
    discard_values_after,
    read_values,
    write_values,
)

VALUES = PromptValues(
    prompts=(0, 7),
    tokens=(3, 4),
    token_sums={"eval_loss": (1.25, 0.1234567)},
    shares={"eval_accuracy": (1.0, None)},
)


def test_what_is_written_is_read_back_to_the_bit(tmp_path: Path) -> None:
    run = create_run(tmp_path, SftConfig())
    write_values(run, 50, VALUES)
    assert read_values(run, 50) == VALUES
    assert (run.path / "evaluations" / "000050.json").is_file()


def test_values_of_undone_steps_are_removed_and_others_stay(tmp_path: Path) -> None:
    run = create_run(tmp_path, SftConfig())
    discard_values_after(run, 0)
    for step in (0, 10, 20):
        write_values(run, step, VALUES)
    discard_values_after(run, 10)
    assert read_values(run, 10) == VALUES
    with pytest.raises(RunError, match="step 20"):
        read_values(run, 20)
