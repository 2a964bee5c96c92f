"""The bound of a cache's folder, held by all processes that share it."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from OnPolicyDistill.teacher.room import COUNT_FILE, SharedRoom

# Puts a row of 100 bytes for each line that it reads, and answers how many went for it.
FILLING = """
import sys
from pathlib import Path
from OnPolicyDistill.teacher.room import SharedRoom
room = SharedRoom(Path(sys.argv[1]), 2000, print)
print("ready", flush=True)
for number, _ in enumerate(sys.stdin):
    name = f"{sys.argv[2]}/rows/ab/ab{number:030x}"
    before = room.evictions
    with room.taken(name, 100) as has_room:
        assert has_room
        file = room.file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(100))
    print(room.evictions - before, flush=True)
"""


class Filler:
    """Another process that fills the folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", FILLING, str(folder), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.answer() == "ready"

    def ask(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def answers_within(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def end(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


def row(number: int) -> str:
    return f"one/rows/ab/ab{number:030x}"


def put(room: SharedRoom, name: str, num_bytes: int) -> bool:
    with room.taken(name, num_bytes) as has_room:
        if has_room:
            file = room.file(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes(num_bytes))
    return has_room


def sizes(folder: Path) -> list[int]:
    return [file.stat().st_size for file in folder.rglob("*.safetensors")]


def quiet(*_: str) -> None:
    """Nothing is worth telling."""


def test_two_processes_that_fill_a_folder_in_turn_stay_within_its_bound(tmp_path: Path) -> None:
    fillers = [Filler(tmp_path, name) for name in ("one", "two")]
    evicted = 0
    for _ in range(25):
        for filler in fillers:
            filler.ask()
            evicted += int(filler.answer())
            assert sum(sizes(tmp_path)) <= 2000
    for filler in fillers:
        filler.end()
    assert sizes(tmp_path) == [100] * 20
    assert evicted == 30
    assert int((tmp_path / COUNT_FILE).read_bytes()) == 2000


def test_two_processes_that_fill_a_folder_at_once_lose_count_of_nothing(tmp_path: Path) -> None:
    fillers = [Filler(tmp_path, name) for name in ("one", "two")]
    for _ in range(40):
        for filler in fillers:
            filler.ask()
    evicted = sum(int(filler.answer()) for filler in fillers for _ in range(40))
    for filler in fillers:
        filler.end()
    assert sizes(tmp_path) == [100] * 20
    assert evicted == 60


def test_a_process_waits_while_another_makes_room(tmp_path: Path) -> None:
    filler, room = Filler(tmp_path, "one"), SharedRoom(tmp_path, 2000, quiet)
    with room.taken(row(0), 100):
        filler.ask()
        assert not filler.answers_within(0.3)
    assert filler.answer() == "0"
    filler.end()


def test_what_another_process_used_since_does_not_go_first(tmp_path: Path) -> None:
    room = SharedRoom(tmp_path, 300, quiet)
    for number in range(3):
        assert put(room, row(number), 100)
        os.utime(room.file(row(number)), (number + 1, number + 1))
    assert put(room, row(3), 100)
    os.utime(room.file(row(1)), (9, 9))
    assert put(room, row(4), 100)
    kept = [number for number in range(5) if room.file(row(number)).exists()]
    assert kept == [1, 3, 4]


@pytest.mark.parametrize("damaged", [b"", b"many", b"00000000000000000000", b"9" * 20])
def test_a_count_that_is_wrong_is_put_right(tmp_path: Path, damaged: bytes) -> None:
    first = SharedRoom(tmp_path, 300, quiet)
    for number in range(3):
        assert put(first, row(number), 100)
    (tmp_path / COUNT_FILE).write_bytes(damaged)
    second = SharedRoom(tmp_path, 300, quiet)
    assert second.num_bytes == 300
    assert put(second, row(3), 100)
    assert int((tmp_path / COUNT_FILE).read_bytes()) == 300
    assert sizes(tmp_path) == [100] * 3


def test_a_file_that_is_written_again_counts_once(tmp_path: Path) -> None:
    room = SharedRoom(tmp_path, 1000, quiet)
    for num_bytes in (100, 300, 200):
        assert put(room, row(0), num_bytes)
        assert room.num_bytes == num_bytes
    room.remove(row(0))
    room.remove(row(0))
    assert room.num_bytes == 0


def test_who_only_reads_writes_nothing_into_the_folder(tmp_path: Path) -> None:
    SharedRoom(tmp_path, 1000, quiet)
    assert [*tmp_path.iterdir()] == []


def test_a_disk_without_locks_is_told_once_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    told: list[str] = []
    room = SharedRoom(tmp_path, 200, lambda code, *_: told.append(code))
    assert all(put(room, row(number), 100) for number in range(3))
    assert sizes(tmp_path) == [100] * 2
    assert told == ["teacher_cache_unlocked"]
