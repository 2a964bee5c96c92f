"""Writes that survive a crash and a full disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from OnPolicyDistill.errors import DiskFullError, RunError
from OnPolicyDistill.files import (
    append_whole,
    disk_errors,
    make_private,
    open_plain,
    open_to_append,
    read_plain,
    remove_any,
    set_aside,
    shipped_folder,
    sync_whole,
    write_text_atomically,
)


class FillingDisk:
    """Stands in for `os.write` on a disk that takes only so many more bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def __call__(self, descriptor: int, data: bytes | memoryview) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._write(descriptor, data[: self.room])
        self.room -= taken
        return taken


def test_an_atomic_write_replaces_the_text_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_text_atomically(path, "old")
    write_text_atomically(path, "new: ü")
    assert path.read_text(encoding="utf-8") == "new: ü"
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_a_failed_atomic_write_keeps_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    write_text_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"config.yaml was not written"):
        write_text_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_a_full_disk_is_said_in_words_and_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with (
        pytest.raises(
            DiskFullError, match=r"is full, so a was not written\. Free some space and try"
        ),
        disk_errors(tmp_path / "a"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), disk_errors(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_appending_returns_where_the_bytes_start(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    with path.open("ab", buffering=0) as stream:
        assert append_whole(stream.fileno(), b"two\n") == 4
        assert append_whole(stream.fileno(), b"three\n") == 8
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_line_that_the_disk_took_half_of_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    with path.open("ab", buffering=0) as stream:
        append_whole(stream.fileno(), b"one\n")
        disk = FillingDisk(room=3)
        monkeypatch.setattr(os, "write", disk)
        with pytest.raises(OSError, match="No space left"):
            append_whole(stream.fileno(), b"two two\n")
        disk.room = 1_000
        append_whole(stream.fileno(), b"three\n")
    assert path.read_bytes() == b"one\nthree\n"


def test_a_disk_that_takes_a_line_in_pieces_gets_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))
    with path.open("ab", buffering=0) as stream:
        append_whole(stream.fileno(), b"seven!\n")
    assert path.read_bytes() == b"seven!\n"


def test_syncing_works_on_files_and_folders(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("a")
    sync_whole(file)
    sync_whole(tmp_path)


@pytest.mark.parametrize("name", ["configs", "data"])
def test_shipped_folders_are_found_in_a_checkout(name: str) -> None:
    assert shipped_folder(name).is_dir()


def test_only_a_regular_file_is_read_and_nothing_is_waited_for(tmp_path: Path) -> None:
    file, link, pipe, folder = (tmp_path / name for name in ("file", "link", "pipe", "folder"))
    file.write_bytes(b"x" * 10)
    link.symlink_to(file)
    os.mkfifo(pipe)
    folder.mkdir()
    assert read_plain(file, 10) == b"x" * 10
    for path, words in (
        (link, "is a link"),
        (pipe, "is a pipe"),
        (folder, "is a folder"),
        (Path("/dev/zero"), "is a device"),
    ):
        for opened in (open_plain, open_to_append):
            with pytest.raises(RunError, match=words):
                opened(path)
    with pytest.raises(RunError, match="larger than"):
        read_plain(file, 9)
    with pytest.raises(FileNotFoundError):
        read_plain(file / "inside")
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "none")


def test_a_link_in_the_place_of_a_half_written_file_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / f".note.json.{os.getpid()}.tmp").symlink_to(precious)
    write_text_atomically(tmp_path / "note.json", "new")
    assert (precious.read_text(), (tmp_path / "note.json").read_text()) == ("precious", "new")


def test_what_was_damaged_is_kept_aside_and_links_are_removed_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(elsewhere)
    remove_any(tmp_path / "link")
    assert (elsewhere / "inner").is_dir()
    set_aside(elsewhere)
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["elsewhere.damaged"]
    make_private(tmp_path / "a" / "b")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700] * 2
