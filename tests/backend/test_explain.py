"""What a run could still say of its end decides what its death is called."""

from pathlib import Path

import pytest

from backend.supervisor.explain import Ending, explain
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.reporting import Reporter, reported


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "memory"),
        (OSError(28, "No space left on device"), "disk_full"),
        (KeyError("lm_head"), "error"),
    ],
)
def test_a_death_has_the_cause_that_the_run_told(
    tmp_path: Path, error: Exception, cause: str
) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    with pytest.raises(type(error)), reported(Reporter(run)):
        raise error
    told = explain(run, Ending(return_code=1))
    assert told is not None
    assert told.cause == cause
