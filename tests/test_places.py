"""Methods and divergences are named in the places that docs/architecture.md lists, nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from OnPolicyDistill.divergences import DIVERGENCES
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


def sources(**more: str) -> list[str]:
    rooms = {"OnPolicyDistill": "py", "backend": "py", "frontend/src": "ts*", "electron/src": "ts"}
    rooms |= more
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


# A setting that one divergence alone has is shown beside it.
SHOWN_BESIDE = "frontend/src/features/new-run/relevance.ts"


def is_chosen_by_name(file: str, text: str) -> bool:
    """Whether code names jsd, the only divergence whose name is that of no metric as well."""
    if not file.endswith(".py"):
        return re.search(r"\bjsd\b", TYPESCRIPT_COMMENT.sub("", text)) is not None
    return "jsd" in spoken(text)


def lists_them_all(python: str) -> bool:
    """Whether a display in a Python source names most divergences, so that a new one is missing."""
    for node in ast.walk(ast.parse(python)):
        parts = node.keys if isinstance(node, ast.Dict) else []
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            parts = [*node.elts]
        named = {part.value for part in parts if isinstance(part, ast.Constant)}
        if len(named & {*DIVERGENCES}) > len(DIVERGENCES) // 2:
            return True
    return False


def test_divergences_are_told_apart_in_the_documented_places_only() -> None:
    named = {
        file
        for file in sources(benchmarks="py")
        if is_chosen_by_name(file, (ROOT / file).read_text(encoding="utf-8"))
    }
    places = listed("divergence")
    assert named == {*places[:4], SHOWN_BESIDE}
    assert [place for place in places if not (ROOT / place).is_file()] == []


def test_divergences_are_listed_once() -> None:
    files = [file for file in sources(benchmarks="py", tests="py") if file.endswith(".py")]
    listing = [file for file in files if lists_them_all((ROOT / file).read_text(encoding="utf-8"))]
    assert listing == ["OnPolicyDistill/divergences.py"]


def test_the_places_of_a_divergence_are_counted() -> None:
    """docs/decisions/0015 says how many there were."""
    assert len(listed("divergence")) == 8


@pytest.mark.parametrize(
    ("python", "is_listing"),
    [
        ('NAMES = ["reverse_kl", "forward_kl", "jsd"]\n', True),
        ('f({"reverse_kl": 1, "jsd": 2, "sampled_reverse_kl": 3})\n', True),
        ('HELD_OUT = ("reverse_kl", "forward_kl", "agreement")\n', False),
    ],
)
def test_a_list_of_divergences_is_seen_and_one_of_metrics_is_not(
    python: str, is_listing: bool
) -> None:
    assert lists_them_all(python) == is_listing
