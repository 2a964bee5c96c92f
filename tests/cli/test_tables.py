"""Tables fit the terminal that reads them, and are whole anywhere else."""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill.cli.tables import fitting, widths_of, wrap_column

if TYPE_CHECKING:
    from tests.cli.conftest import Opd

COLUMNS = ("name", "size", "id")
ROWS = (("a name of many words", "1.0", "x" * 30), ("b", "22.5", "y"))


@pytest.mark.parametrize(
    ("width", "left"),
    [(58, ["name", "size", "id"]), (57, ["name", "size"]), (26, ["name", "size"]), (25, ["name"])],
)
def test_spare_columns_go_in_their_order_and_only_as_far_as_they_must(
    width: int, left: list[str]
) -> None:
    assert fitting(COLUMNS, ROWS, ["id", "size"], None, width) == left


def test_a_column_that_can_be_wrapped_counts_as_narrow_before_another_goes() -> None:
    rows = [("many words " * 9, "1.0")]
    assert fitting(COLUMNS[:2], rows, ["size"], None, 60) == ["name"]
    assert fitting(COLUMNS[:2], rows, ["size"], "name", 60) == ["name", "size"]


def test_a_wrapped_column_fills_the_width_and_loses_no_word() -> None:
    words = "one two three four five six seven eight nine ten"
    table = wrap_column([["name", "what"], ["a", words], ["b", ""]], 1, 34)
    assert sum(widths_of(table)) + 2 <= 34
    assert [row[0] for row in table] == ["name", "a", "", "b"]
    assert " ".join(row[1] for row in table[1:3]) == words


def test_an_address_in_a_wrapped_column_stays_whole() -> None:
    address = "(https://example.org/a-b/" + "c" * 40 + ")"
    table = wrap_column([["reason"], [f"because of this {address} and that"]], 0, 30)
    assert [row[0] for row in table] == ["reason", "because of this", address, "and that"]


def on_a_terminal(num_columns: int, *arguments: str) -> str:
    """What a command prints on a terminal of that width."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, num_columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    command = [sys.executable, "-m", "OnPolicyDistill", *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as child:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65_536):
                said += piece
        except OSError:  # Linux says so where a Mac says that it is the end
            pass
    os.close(ours)
    assert child.returncode == 0
    return said.decode()


def test_the_list_of_models_fits_80_columns_and_says_what_it_left_out() -> None:
    *lines, last = on_a_terminal(80, "models").splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split("  ")[0] == "alias"
    assert "can train here" in lines[0]
    assert last.startswith("Left out, as the terminal has 80 columns: family, GB at 16,")
    assert last.endswith("hub id. --json has all.")


def test_what_is_no_terminal_gets_every_column(opd: Opd) -> None:
    outcome = opd("models")
    assert outcome.out.splitlines()[0].endswith("hub id")
    assert "Left out" not in outcome.err
