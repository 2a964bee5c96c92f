"""Methods are named in the places that docs/architecture.md lists, and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from OnPolicyDistill.methods import FACTS, METHODS

ROOT = Path(__file__).parents[1]
GENERATED = "frontend/src/api/schema.d.ts"
TYPESCRIPT_COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)
ENTRY = re.compile(r"^(?:\d+\.|-) `([^`]+)`", re.MULTILINE)


def naming() -> re.Pattern[str]:
    """What names a method in code: its name or block, or the classes of its settings."""
    words = {word for name in METHODS for word in (name, FACTS[name].block)}
    classes = {FACTS[name].settings.__name__ for name in METHODS}
    configs = {f"{name.title().replace('_', '')}Config" for name in METHODS}
    return re.compile(rf"\b(?:{'|'.join(sorted(words | classes | configs))})\b")


def listed(mark: str) -> list[str]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(rf"<!-- {mark} -->(.*?)<!-- /{mark} -->", text, re.DOTALL)
    assert block is not None
    return ENTRY.findall(block.group(1))


def spoken(python: str) -> Iterator[str]:
    """Strings and classes of settings in a Python source, without docstrings and imports."""
    tree = ast.parse(python)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id.endswith(("Settings", "Config")):
            yield node.id
        elif isinstance(node, ast.Constant) and id(node) not in prose:
            yield str(node.value)


def names_a_method(file: str, text: str, pattern: re.Pattern[str]) -> bool:
    if not file.endswith(".py"):
        return pattern.search(TYPESCRIPT_COMMENT.sub("", text)) is not None
    # In prose a block's name is a word like any other; as a key it begins the string.
    return any(pattern.match(word) for word in spoken(text) if " " not in word)


def sources() -> list[str]:
    rooms = {"OnPolicyDistill": "py", "backend": "py", "frontend/src": "ts*", "electron/src": "ts"}
    paths = [path for room, kind in rooms.items() for path in (ROOT / room).rglob(f"*.{kind}")]
    files = [path.relative_to(ROOT).as_posix() for path in paths]
    return [file for file in files if ".test." not in file and file != GENERATED]


def test_methods_are_named_in_the_documented_places_only() -> None:
    pattern = naming()
    allowed = tuple(listed("places") + listed("own"))
    named = {
        file
        for file in sources()
        if names_a_method(file, (ROOT / file).read_text(encoding="utf-8"), pattern)
    }
    assert {file for file in named if not file.startswith(allowed)} == set()
    assert [place for place in allowed if not any(f.startswith(place) for f in named)] == []


def test_the_places_are_counted() -> None:
    """A new one is a decision: docs/decisions/0013 says how many there were, and why."""
    assert len(listed("places")) == 15


@pytest.mark.parametrize(
    ("file", "text", "is_named"),
    [
        ("a.py", 'if method == "prompt_distillation":\n    pass\n', True),
        ("a.py", 'KEYS = ("sft.model",)\n', True),
        ("a.py", "def f(x):\n    return isinstance(x, SftSettings)\n", True),
        ("a.py", 'field = f"distillation.{key}"\n', True),
        ("a.py", '"""About `sft`."""\n# on_policy\n', False),
        ("a.py", "from OnPolicyDistill.settings.sft import Nothing\n", False),
        ("a.py", 'say("distillation is slow")\n', False),
        ("a.ts", 'const WORDS = { on_policy: "x" };', True),
        ("a.ts", 'sort("distillation.student_model");', True),
        ("a.ts", "/** As in sft. */ // on_policy\nexport const a = 1;", False),
    ],
)
def test_naming_a_method_is_seen_in_code_and_not_in_prose(
    file: str, text: str, is_named: bool
) -> None:
    assert names_a_method(file, text, naming()) == is_named
