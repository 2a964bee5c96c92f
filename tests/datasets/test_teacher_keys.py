"""Which teacher each line of a prompt file is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.teacher_keys import teachers_of
from OnPolicyDistill.errors import DatasetError


def test_every_prompt_has_the_teacher_that_its_line_names(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    lines = [{"prompt": str(n), "teacher": "ab"[n % 2]} for n in range(3)]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    assert teachers_of(file, ["a", "b"]) == ("a", "b", "a")


@pytest.mark.parametrize("named", ['"c"', "null", "3", '["a"]'])
def test_a_name_that_there_is_not_is_told_with_its_line_and_the_names_there_are(
    tmp_path: Path, named: str
) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(f'{{"prompt": "x", "teacher": "a"}}\n{{"prompt": "y", "teacher": {named}}}\n')
    with pytest.raises(DatasetError, match=r"line 2: .*one of a, b\.") as refused:
        teachers_of(file, ["a", "b"])
    assert refused.value.line == 2
