"""Every exception has words for the log of the run that it ends."""

from __future__ import annotations

import errno

import pytest

from OnPolicyDistill.errors import DivergedError
from OnPolicyDistill.runs.failures import REPORT_IT, SMALLER, Failure, describe_failure
from OnPolicyDistill.settings.training import OptimizerSettings


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (DivergedError("Away.", "Slower."), Failure("diverged", "Away.", "Slower.")),
        (MemoryError(), Failure("memory", "There was no memory left (no message).", SMALLER)),
        (
            RuntimeError("[malloc_or_wait] Unable to allocate 5 bytes.\nmore"),
            Failure(
                "memory",
                "There was no memory left ([malloc_or_wait] Unable to allocate 5 bytes.).",
                SMALLER,
            ),
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/a/b"),
            Failure("disk_full", "/a/b: the disk is full.", "Free some space and resume the run."),
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/a/b"),
            Failure(
                "system",
                "/a/b: Permission denied.",
                "Check that it is there and yours, and resume the run.",
            ),
        ),
        (
            KeyError("lm_head"),
            Failure(
                "unexpected", "Something unexpected happened (KeyError: 'lm_head').", REPORT_IT
            ),
        ),
        (
            SystemExit(3),
            Failure("exited", "Its program ended itself with exit code 3.", REPORT_IT),
        ),
    ],
)
def test_an_exception_is_told_with_a_code_and_what_to_do(
    error: BaseException, failure: Failure
) -> None:
    assert describe_failure(error) == failure


def test_a_validation_is_told_by_its_first_problem() -> None:
    with pytest.raises(ValueError, match="batch_size") as caught:
        OptimizerSettings.model_validate({"batch_size": 0})
    said = describe_failure(caught.value).message
    assert "(ValidationError: batch_size: Input should be greater than or equal to 1)" in said


def test_a_long_message_is_cut() -> None:
    assert len(describe_failure(RuntimeError("x" * 10_000)).message) < 400
