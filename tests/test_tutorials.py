"""Every command of docs/tutorials is one that `opd` takes, and does what the tutorial says it does.

A block marked `sh` is typed on the embedded models; one marked `sh real` names models that would
have to be downloaded, so that only its forecasts run here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from backend.command import app, main
from OnPolicyDistill.cli.settings import Given, load_settings
from OnPolicyDistill.methods import METHODS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "tutorials"
TUTORIALS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
BLOCK = re.compile(r"^```sh( real)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Over within a second or two; all others load models to work with.
QUICK = ("data", "check", "plan")
MADE = re.compile(r"(?<!\S)(?:--out |data convert \S+ |cp \S+ |> )(\S+)")
FOLDERS = ("data/", "configs/")


@dataclass(frozen=True)
class Line:
    """A line of a tutorial's block, as words; `made` are files that lines before it write."""

    tutorial: str
    words: tuple[str, ...]
    is_real: bool
    made: frozenset[str]

    @property
    def text(self) -> str:
        return shlex.join(self.words)

    @property
    def needs_others(self) -> bool:
        """Whether it reads what a line before it wrote."""
        return any(name in word for word in self.words for name in self.made)


def lines_of(tutorial: Path) -> list[Line]:
    found, made = [], set[str]()
    for is_real, block in BLOCK.findall(tutorial.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = tuple(shlex.split(line, comments=True))
            if words:
                found.append(Line(tutorial.stem, words, bool(is_real), frozenset(made)))
                made.update(MADE.findall(line))
    return found


LINES = [line for tutorial in TUTORIALS for line in lines_of(tutorial)]
COMMANDS = [line for line in LINES if line.words[0] == "opd"]


def is_quick(line: Line) -> bool:
    return not line.needs_others and line.words[1] in QUICK


RUNNABLE = list(
    {
        line.text: line
        for line in COMMANDS
        if is_quick(line) and (not line.is_real or line.words[1] == "plan")
    }.values()
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a fresh checkout, and takes what the commands write."""
    for name in ("data", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build").mkdir()
    monkeypatch.setenv("OPD_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(line: Line) -> dict[str, object]:
    """What the real command makes of the words; it raises where it does not know an option."""
    command, words = typer.main.get_command(app), list(line.words[1:])
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    return command.make_context(line.words[0], words).params


def test_every_method_has_a_tutorial_that_trains_it():
    trained = {
        load_settings(Path(str(config)), Given({})).method
        for line in COMMANDS
        if line.words[1] == "train" and (config := parsed(line)["config"]) is not None
    }
    assert trained >= set(METHODS)


def test_the_index_names_every_tutorial():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in TUTORIALS if f"({path.name})" not in index] == []


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: f"{line.tutorial}: {line.text}")
def test_every_command_of_a_tutorial_is_one_that_opd_takes(line, checkout):
    parameters = parsed(line)
    if line.words[1] in ("train", "plan", "check") and parameters.get("config") is not None:
        assignments = parameters["assignments"] or ()
        load_settings(Path(str(parameters["config"])), Given({}, assignments))


def test_every_shipped_file_that_a_tutorial_names_exists():
    named = {
        (line.tutorial, name)
        for line in LINES
        for word in line.words
        for name in word.split("=")
        if name.startswith(FOLDERS)
    }
    assert named
    assert sorted(pair for pair in named if not (ROOT / pair[1]).exists()) == []


def test_links_of_tutorials_and_comparison_lead_somewhere():
    pages = [*FOLDER.glob("*.md"), ROOT / "docs" / "comparison.md"]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text(encoding="utf-8"))
    ]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("line", RUNNABLE, ids=lambda line: line.text)
def test_the_quick_commands_of_the_tutorials_end_well(line, checkout, capsys):
    with pytest.raises(SystemExit) as ended:
        main(line.words[1:])
    assert ended.value.code == 0, capsys.readouterr().err


@pytest.mark.demonstration
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_can_be_typed_from_top_to_bottom(tutorial, checkout):
    blocks = BLOCK.findall(tutorial.read_text(encoding="utf-8"))
    script = "".join(["set -e\n", *(block for is_real, block in blocks if not is_real)])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        check=False,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
