"""Damages any folder of files as crashes, sync services and attackers do; seeded, so repeatable."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

DEEP = "[" * 5_000 + "]" * 5_000
VALUES: tuple[JsonValue, ...] = (
    -1, -5, 0, 2**53 + 1, 10**30, 10**400, 1e308, -1e308, True, None, "", "x", "²", "../../x",
    "\x00", "\ud800", "a" * 5_000, [], {}, [[]], {"a": {"b": []}}, ["x"] * 500,
)  # fmt: skip
SPARSE_BYTES = 200_000_000

Mutation = Callable[[Path, random.Random], None]


def truncated(file: Path, choice: random.Random) -> None:
    os.truncate(file, choice.randrange(max(file.stat().st_size, 1)))


def flipped(file: Path, choice: random.Random) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(choice.randint(1, 8) if data else 0):
        data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
    file.write_bytes(data)


def zeroed_tail(file: Path, choice: random.Random) -> None:
    """As after a power cut."""
    with file.open("ab") as stream:
        stream.write(b"\0" * choice.choice((1, 4096, 70_000)))


def sparse(file: Path, _choice: random.Random) -> None:
    """One endless line that costs no disk."""
    os.truncate(file, SPARSE_BYTES)


def emptied(file: Path, _choice: random.Random) -> None:
    file.write_bytes(b"")


def removed(file: Path, _choice: random.Random) -> None:
    file.unlink()


def folder_instead(file: Path, _choice: random.Random) -> None:
    file.unlink()
    (file / "inner").mkdir(parents=True)


def pipe_instead(file: Path, _choice: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def link_instead(file: Path, choice: random.Random) -> None:
    file.unlink()
    targets = ("/dev/zero", "/etc/passwd", "/", str(file.parent), file.name, "/nowhere")
    file.symlink_to(choice.choice(targets))


def nested(file: Path, _choice: random.Random) -> None:
    file.write_text(DEEP)


def long_number(file: Path, choice: random.Random) -> None:
    text = choice.choice((f"0x{'f' * 20_000}", "9" * 20_000, f"1{':59' * 9_000}", "1e999999"))
    file.write_text(f'{{"seq": {text}}}\n' if file.suffix != ".yaml" else f"a: {text}\n")


def many_lines(file: Path, _choice: random.Random) -> None:
    file.write_bytes(b"\n" * 300_000)


def other_value(file: Path, choice: random.Random) -> None:
    """Another value somewhere in a JSON file, in a line of one, or in YAML, of which it is part."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() or ["{}"]
    whole = file.suffix == ".json"
    number = choice.randrange(len(lines))
    try:
        values = json.loads("\n".join(lines) if whole else lines[number])
    except ValueError:
        values = {}
    changed = json.dumps(replaced(values, choice))
    rest = [*lines[:number], changed, *lines[number + 1 :], ""]
    file.write_text(changed if whole else "\n".join(rest))


def replaced(value: JsonValue, choice: random.Random) -> JsonValue:
    """The value with one of its parts replaced."""
    if isinstance(value, dict) and value and choice.random() < 0.9:
        key = choice.choice(list(value))
        return {**value, key: replaced(value[key], choice)}
    if isinstance(value, list) and value and choice.random() < 0.7:
        place = choice.randrange(len(value))
        return [*value[:place], replaced(value[place], choice), *value[place + 1 :]]
    return choice.choice(VALUES)


MUTATIONS: tuple[Mutation, ...] = (
    truncated, flipped, zeroed_tail, sparse, emptied, removed, folder_instead, pipe_instead,
    link_instead, nested, long_number, many_lines, other_value, other_value, other_value,
)  # fmt: skip


def mutate(folder: Path, choice: random.Random, mutations: tuple[Mutation, ...] = MUTATIONS) -> str:
    """Damage one or two files of a folder; says what was done."""
    done = []
    for _ in range(choice.randint(1, 2)):
        files = sorted(it for it in folder.rglob("*") if it.is_file() and not it.is_symlink())
        if not files:
            break
        file, mutation = choice.choice(files), choice.choice(mutations)
        mutation(file, choice)
        done.append(f"{mutation.__name__} {file.relative_to(folder)}")
    return ", ".join(done)
