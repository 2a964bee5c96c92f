"""Files that a run needs, and rows of them that it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.errors import ConfigError, DatasetError
from OnPolicyDistill.methods import ALL_FACTS, KindFacts
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import Warned
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.training.files import LengthLimit, leave_out_long, named_file

LIMIT = LengthLimit(3, "max_prompt_tokens", "prompts_left_out", "prompts")
NEEDED = [(facts, file.key) for facts in ALL_FACTS for file in facts.files if file.required]


@pytest.mark.parametrize(("facts", "key"), NEEDED)
def test_a_file_that_is_not_named_is_asked_for_at_its_setting(facts: KindFacts, key: str) -> None:
    assert named_file(facts, key, "folder/file") == Path("folder/file")
    with pytest.raises(ConfigError, match=f"names no {key} file") as caught:
        named_file(facts, key, None)
    ((place, reason),) = caught.value.locations
    assert place == f"{facts.block}.{key}"
    assert reason.endswith("is required to train")


def test_long_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    run = create_run(tmp_path, SftConfig())
    reporter = Reporter(run)
    assert leave_out_long(["abc", "abcd"], len, LIMIT, tmp_path, reporter) == ("abc",)
    assert leave_out_long(["abc"], len, LIMIT, tmp_path, reporter) == ("abc",)
    with pytest.raises(DatasetError, match="all 1 prompts are longer than 3 tokens"):
        leave_out_long(["abcd"], len, LIMIT, tmp_path, reporter)
    reporter.close()
    (warned,) = [event for event in read_events(run.events_file) if isinstance(event, Warned)]
    assert warned.code == "prompts_left_out"
    assert warned.message.startswith("1 of 2 prompts of")
    assert "max_prompt_tokens" in warned.action
