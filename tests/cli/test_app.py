"""How every command ends: exit codes, one sentence on stderr, a traceback on request only."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main
from typer.core import TyperGroup

from backend.command import app
from OnPolicyDistill.runs import directory

if TYPE_CHECKING:
    from tests.cli.conftest import Opd

COMMANDS = (
    "demo",
    "train",
    "resume",
    "plan",
    "check",
    "generate",
    "fuse",
    "export",
    "models",
    "data",
    "runs",
    "serve",
    "bench",
    "doctor",
)


def test_help_names_every_command(opd: Opd) -> None:
    outcome = opd("--help")
    assert outcome.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(opd: Opd, command: str) -> None:
    outcome = opd(command, "--help")
    assert outcome.exit_code == 0
    assert "Usage: opd " + command in outcome.out


GROUPS = ((), ("runs",), ("models",), ("data",), ("demo",), ("pipeline",), ("hosts",), ("teacher",))


@pytest.mark.parametrize("group", GROUPS)
def test_no_sentence_in_a_list_of_commands_is_cut(opd: Opd, group: tuple[str, ...]) -> None:
    said = opd(*group, "--help").out
    _, listed = said.split("Commands:")
    assert "..." not in listed
    assert all(len(line) <= 80 for line in said.splitlines())
    sentences = re.split(r"\n  (?=[a-z])", listed)[1:]
    assert sentences
    assert all(sentence.rstrip().endswith(".") for sentence in sentences), sentences


@pytest.mark.parametrize("group", GROUPS)
def test_help_is_a_word_as_well_as_an_option(opd: Opd, group: tuple[str, ...]) -> None:
    asked = opd(*group, "help")
    assert (asked.exit_code, asked.out) == (0, opd(*group, "--help").out)
    assert opd("help", *group).out == asked.out


def leaves(group: TyperGroup, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves(command, *path, name)
        else:
            yield (*path, name)


def test_the_help_of_every_command_fits_80_columns_in_words_of_people(opd: Opd) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for path in leaves(group):
        said = opd(*path, "--help").out
        assert max(map(len, said.splitlines())) <= 80, path
        assert "Path]" not in said, path


def test_the_first_day_is_listed_first(opd: Opd) -> None:
    def listed(*group: str) -> list[str]:
        return re.findall(r"^  ([a-z-]+)  ", opd(*group, "--help").out.split("Commands:")[1], re.M)

    assert listed()[0] == "demo"
    assert listed().index("check") < listed().index("train") < listed().index("export")
    assert listed("data")[:3] == ["lint", "show", "convert"]


def test_help_for_a_command_within_a_group(opd: Opd) -> None:
    assert opd("help", "runs", "show").out == opd("runs", "show", "--help").out


def test_a_mistyped_command_is_asked_about_and_hidden_ones_are_not_named(opd: Opd) -> None:
    outcome = opd("trian")
    assert outcome.exit_code == 2
    assert "No such command 'trian'. Did you mean train?" in outcome.err
    assert "opd runs -h lists them." in opd("runs", "zzz").err


def test_the_version_is_printed(opd: Opd) -> None:
    assert opd("--version").out.startswith("OnPolicyDistill 0.")


def test_an_unknown_option_is_the_users_mistake(opd: Opd) -> None:
    outcome = opd("train", "--colour", "red")
    assert outcome.exit_code == 2
    assert "--colour" in outcome.err
    assert outcome.out == ""


def test_wrong_input_ends_with_2_and_one_line(opd: Opd) -> None:
    outcome = opd("runs", "show", "nothing")
    assert outcome.exit_code == 2
    assert outcome.err.startswith("opd: No run in ")
    assert outcome.err.count("\n") == 1


def test_debug_shows_the_traceback_behind_any_command(opd: Opd) -> None:
    outcome = opd("runs", "show", "nothing", "--debug")
    assert outcome.exit_code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("opd: No run in ")


def test_an_unexpected_error_says_where_its_traceback_is(
    opd: Opd, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> list[object]:
        raise KeyError("seat")

    monkeypatch.setattr(directory, "list_runs", broken)
    outcome = opd("runs")
    assert outcome.exit_code == 1
    log = workspace / "errors.log"
    assert outcome.err == (
        "opd: Something unexpected happened (KeyError: 'seat'). "
        f"The traceback is in {log}; --debug shows it here.\n"
    )
    assert "KeyError: 'seat'" in log.read_text(encoding="utf-8")
    assert "Traceback" in opd("runs", "--debug").err


def test_a_file_that_cannot_be_read_is_named(opd: Opd, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(folder: Path) -> list[object]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(directory, "list_runs", forbidden)
    outcome = opd("runs")
    assert outcome.exit_code == 1
    assert outcome.err.startswith("opd: ")
    assert "Permission denied" in outcome.err
    assert "unexpected" not in outcome.err


def test_the_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from backend.command import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'mlx', 'mlx_lm', 'yaml', 'matplotlib', 'transformers', 'rich', 'fastapi'}\n"
        "    print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_training_loads_neither_plots_nor_statistics() -> None:
    code = (
        "import sys\n"
        "import OnPolicyDistill.arrays\n"
        "from OnPolicyDistill.trainers import on_policy, prompt_distillation, sft\n"
        "from OnPolicyDistill.evaluation import report\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'matplotlib', 'fastapi', 'sqlalchemy'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_package_itself_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "OnPolicyDistill", "runs", "show", "x", "--workspace", "/nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("opd: No run in /nowhere matches 'x'")
    assert done.stderr.count("\n") == 1


def test_what_metal_said_is_explained_by_every_command(
    opd: Opd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(_: Path) -> list[object]:
        raise RuntimeError("[METAL] Command buffer execution failed: Impacting Interactivity (..).")

    monkeypatch.setattr(directory, "list_runs", failed)
    outcome = opd("runs")
    assert outcome.exit_code == 1
    assert outcome.err.startswith("opd: macOS ended its work on the GPU")
    assert "Let the display sleep" in outcome.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_takes_no_more_is_named(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "OnPolicyDistill", "runs", "--json", "--workspace", tmp_path],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert "What this command prints could not be written" in ended.stderr
    assert "unexpected" not in ended.stderr
