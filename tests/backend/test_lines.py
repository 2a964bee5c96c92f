"""Lines of a file that grows: whole ones once, torn ones later, replaced files noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.history.lines import FileReplacedError, LineFile


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"\n", b"")), max_size=20), st.data())
def test_every_line_comes_once_however_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    content, seen = b"".join(line + b"\n" for line in lines), []
    file, written = LineFile(path), 0
    while written < len(content):
        upto = data.draw(st.integers(written + 1, len(content)))
        with path.open("ab") as stream:
            stream.write(content[written:upto])
        written = upto
        seen += list(file.new_lines())
    assert seen == lines
    for first in range(len(lines)):
        assert file.read(first, 3) == lines[first : first + 3]
        assert file.number_at(sum(len(line) + 1 for line in lines[:first])) == first


def test_a_torn_line_that_is_repaired_and_written_anew_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\nthr")
    file = LineFile(path)
    assert list(file.new_lines()) == [b"one", b"two"]
    with path.open("rb+") as stream:
        stream.truncate(8)
        stream.seek(8)
        stream.write(b"3\nfour\n")
    assert list(file.new_lines()) == [b"3", b"four"]


@pytest.mark.parametrize("fate", ["shorter", "replaced", "gone"])
def test_a_file_that_lost_what_was_read_is_noticed(tmp_path: Path, fate: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\n")
    file = LineFile(path)
    list(file.new_lines())
    if fate == "shorter":
        path.write_bytes(b"one\n")
    elif fate == "gone":
        path.unlink()
    else:
        other = tmp_path / "other"
        other.write_bytes(b"one\ntwo\nthree\n")
        other.replace(path)
    with pytest.raises(FileReplacedError):
        list(file.new_lines())


def test_a_page_is_bounded_in_bytes_but_has_a_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes((b"x" * 100 + b"\n") * 50)
    file = LineFile(path)
    list(file.new_lines())
    assert len(file.read(0, 50, max_bytes=10)) == 1
    assert 1 <= len(file.read(0, 50, max_bytes=1000)) <= 10
    assert file.read(50, 5) == []


def test_a_byte_inside_a_line_is_no_start(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\n")
    file = LineFile(path)
    list(file.new_lines())
    assert [file.number_at(offset) for offset in (0, 1, 4, 8, 99)] == [0, None, 1, None, None]
