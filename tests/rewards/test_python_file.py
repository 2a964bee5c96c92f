from pathlib import Path

import pytest

from OnPolicyDistill.errors import ConfigError, RunError
from OnPolicyDistill.rewards.completion import Completion
from OnPolicyDistill.rewards.python_file import load_reward

SAID = Completion("What is it?", "forty", "42", 3, 8, is_finished=True, extras={"level": 2})


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.py"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_users_function_grades_what_it_is_given(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "def reward(completion):\n"
        "    if completion.answer is None:\n        return None\n"
        "    return len(completion.text) * completion.extras['level']\n",
    )
    grade = load_reward(file)
    assert grade(SAID) == 10.0
    assert grade(Completion("", "", None, 1, 8, is_finished=True)) is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("def reward(completion):\n    return 1 / 0\n", 2, "ZeroDivisionError: division by zero"),
        (
            "def worse(text):\n    raise KeyError('level')\n\ndef reward(completion):\n"
            "    return worse(completion.text)\n",
            2,
            "KeyError",
        ),
        (
            "import json\ndef reward(completion):\n    return json.loads('{')\n",
            3,
            "JSONDecodeError",
        ),
    ],
)
def test_what_it_raises_ends_the_run_with_file_and_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    file = written(tmp_path, text)
    grade = load_reward(file)
    with pytest.raises(RunError, match=words) as raised:
        grade(SAID)
    assert f"{file}, line {line}:" in raised.value.message
    assert raised.value.action


@pytest.mark.parametrize(
    ("text", "line"), [("import nothing_of_this_name\n", 1), ("x = 1\ndef reward(:\n    pass\n", 2)]
)
def test_a_file_that_cannot_be_run_is_said_with_its_line(
    tmp_path: Path, text: str, line: int
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(RunError) as raised:
        load_reward(file)
    assert f"{file}, line {line}:" in raised.value.message


@pytest.mark.parametrize("given", ["'much'", "float('nan')", "float('inf')", "[1.0]"])
def test_an_answer_that_is_no_number_is_refused(tmp_path: Path, given: str) -> None:
    grade = load_reward(written(tmp_path, f"def reward(completion):\n    return {given}\n"))
    with pytest.raises(RunError, match="no finite number"):
        grade(SAID)


def test_a_file_without_the_function_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no function `reward`"):
        load_reward(written(tmp_path, "rewards = 3\n"))
    with pytest.raises(ConfigError, match="no Python file"):
        load_reward(tmp_path / "absent.py")
