"""Remembers prompt sets: a folder each in the workspace, with the file if it was uploaded."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock

from pydantic import ValidationError
from sqlalchemy import select

from backend.backend import Backend
from backend.history.tables import RunRow, ValueRow
from backend.problems import ConflictError, NotFoundError
from backend.prompt_sets.looks import SMALL_BYTES, Looks, Seen
from backend.prompt_sets.views import PromptSetView, SetRecord
from OnPolicyDistill.datasets.file_digests import digest_of_set
from OnPolicyDistill.datasets.file_forms import KNOWN_ENDINGS
from OnPolicyDistill.datasets.kinds import PEEKED_LINES, SetKind, kind_of
from OnPolicyDistill.datasets.labelled import LabelledItem, read_items
from OnPolicyDistill.datasets.prompts import Prompt, prompt_of
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import Record
from OnPolicyDistill.errors import DatasetError, RunError
from OnPolicyDistill.files import (
    disk_errors,
    make_private,
    read_plain,
    shipped_folder,
    write_text_atomically,
)
from OnPolicyDistill.methods import ALL_FACTS

RECORD_FILE = "set.json"
RECENT = 8
DATA_KEYS = tuple(f"{facts.block}.{file.key}" for facts in ALL_FACTS for file in facts.files)
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Around:
    """What a set's view says of others: runs by file, as ids and names, and sets by content.

    `seen` is what is known of every set at one time: looks go on while a list is made.
    """

    runs: Mapping[str, Mapping[str, str]]
    seen: dict[str, Seen] = field(default_factory=dict)
    alike: dict[str, list[str]] = field(default_factory=dict)


class PromptSets:
    """Methods may be called from any thread."""

    def __init__(self, backend: Backend, looks: Looks) -> None:
        self._backend = backend
        self._looks = looks
        self._folder = backend.settings.workspace / "prompt_sets"
        self._taking = Lock()

    def list(self) -> tuple[PromptSetView, ...]:
        """Return every set, shipped ones last."""
        own = sorted(self._own(), key=lambda record: record.added, reverse=True)
        around = self._around()
        return tuple(self._view(record, around) for record in (*own, *_shipped()))

    def recent_folders(self) -> tuple[str, ...]:
        """Folders of the files that are used where they are, those of the last added first."""
        own = sorted(self._own(), key=lambda record: record.added, reverse=True)
        folders = (Path(record.path).parent for record in own if record.origin == "path")
        there = (str(folder) for folder in dict.fromkeys(folders) if folder.is_dir())
        return tuple(islice(there, RECENT))

    def begin_looks(self, set_ids: Iterable[str] | None) -> None:
        """Have sets looked at, one after the other: those named, else all that are small.

        Raises:
            NotFoundError: there is no such set.
        """
        if set_ids is None:
            records = [record for record in self._all() if _is_small(Path(record.path))]
        else:
            records = [self._record(set_id) for set_id in set_ids]
        self._looks.begin((Path(record.path), record.kind) for record in records)

    def get(self, set_id: str) -> PromptSetView:
        """Return a set.

        Raises:
            NotFoundError: there is none.
        """
        return self._view(self._record(set_id), self._around())

    def file_of(self, set_id: str) -> Path:
        """Return a set's file.

        Raises:
            NotFoundError: there is no such set.
            DatasetError: its file went away, or is no regular file any more.
        """
        path = Path(self._record(set_id).path)
        if not path.is_file():
            raise DatasetError("The file is no longer there.", "Register it again.", path)
        return path

    def register(self, file: Path, name: str | None) -> PromptSetView:
        """Remember a file where it is; registering it again changes nothing."""
        for record in self._all():
            if Path(record.path) == file:
                return self._view(record, self._around())
        return self._remember(file, name or file.name, "path", _new_id(name or file.stem))

    def take_in(self, received: Path, name: str) -> PromptSetView:
        """Move an uploaded file into the workspace and remember it; what is there is the same set.

        Only uploads count: what is used where it is may change there.
        """
        # Two uploads of the same at once would not see each other.
        with self._taking:
            before = self._uploaded_before(received)
            if before is not None:
                received.unlink(missing_ok=True)
                return self._view(before, self._around())
            set_id = _new_id(Path(name).stem)
            folder = self._folder / set_id
            ending = Path(name).suffix.lower()
            known = ending if ending in KNOWN_ENDINGS else ""
            file = folder / f"{_slug(Path(name).stem)}{known}"
            with disk_errors(file):
                make_private(folder)
                received.replace(file)
            return self._remember(file, name, "upload", set_id)

    def remove(self, set_id: str, confirmed: bool) -> None:
        """Forget a set; an uploaded file is deleted, a registered one stays where it is.

        Raises:
            NotFoundError: there is none.
            ConflictError: it is shipped, or an upload that runs use and nobody confirmed.
        """
        found = self.get(set_id)
        if found.origin == "shipped":
            raise ConflictError(f"{found.name} belongs to this program.", code="set_shipped")
        if found.origin == "upload" and found.used_by and not confirmed:
            raise ConflictError(
                f"{found.name} is used by {', '.join(found.used_by_names[:5])}.",
                "They could not be resumed without it. Confirm to delete it all the same.",
                code="set_used",
            )
        shutil.rmtree(self._folder / set_id)

    def _remember(self, file: Path, name: str, origin: str, set_id: str) -> PromptSetView:
        values = {
            "id": set_id,
            "name": name,
            "origin": origin,
            "kind": kind_of(file),
            "path": str(file),
            "added": time.time(),
        }
        record = SetRecord.model_validate(values)
        folder = self._folder / set_id
        with disk_errors(folder):
            make_private(folder)
        write_text_atomically(folder / RECORD_FILE, record.model_dump_json(indent=1))
        return self._view(record, self._around())

    def _uploaded_before(self, received: Path) -> SetRecord | None:
        """The upload that holds the same, byte by byte."""
        for record in self._own():
            file = Path(record.path)
            if record.origin == "upload" and file.is_file() and _same_bytes(file, received):
                return record
        return None

    def _own(self) -> Iterator[SetRecord]:
        if not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            try:
                yield SetRecord.model_validate_json(read_plain(folder / RECORD_FILE))
            except (FileNotFoundError, RunError, ValidationError):
                continue  # half a registration, cut off by a crash

    def _all(self) -> Iterator[SetRecord]:
        yield from self._own()
        yield from _shipped()

    def _record(self, set_id: str) -> SetRecord:
        for record in self._all():
            if record.id == set_id:
                return record
        raise NotFoundError(f"There is no prompt set {set_id}.")

    def _view(self, record: SetRecord, around: _Around) -> PromptSetView:
        path = Path(record.path)
        is_here = path.is_file()
        about = path.stat() if is_here else None
        seen = around.seen.get(record.id) or self._looks.of(path, record.kind)
        used_by = around.runs.get(str(path.resolve()), {})
        alike = around.alike.get(seen.content or "", [])
        return PromptSetView(
            **record.model_dump(),
            is_here=is_here,
            num_bytes=0 if about is None else about.st_size,
            modified=None if about is None else about.st_mtime,
            is_labelled=is_here and any(_answers(path, record.kind)),
            used_by=tuple(used_by),
            used_by_names=tuple(used_by.values()),
            look_state=seen.state,
            looking_since=seen.since,
            look=seen.look,
            same_as=tuple(other for other in alike if other != record.id),
        )

    def _around(self) -> _Around:
        around = _Around(self._runs_by_file())
        for record in self._all():
            seen = self._looks.of(Path(record.path), record.kind)
            around.seen[record.id] = seen
            if seen.content is not None:
                around.alike.setdefault(seen.content, []).append(record.id)
        return around

    def _runs_by_file(self) -> dict[str, dict[str, str]]:
        """Runs that name a file, by its path: their names by their ids."""
        found: dict[str, dict[str, str]] = {}
        with self._backend.index.session() as session:
            rows = session.execute(
                select(ValueRow.run_id, RunRow.name, ValueRow.words)
                .join(RunRow, RunRow.run_id == ValueRow.run_id)
                .where(ValueRow.key.in_(DATA_KEYS), ValueRow.words.is_not(None))
                .order_by(ValueRow.run_id)
            ).all()
        for run_id, name, words in rows:
            found.setdefault(str(Path(str(words)).resolve()), {})[run_id] = name or run_id
        return found


def _shipped() -> tuple[SetRecord, ...]:
    root = shipped_folder("data")
    return tuple(
        SetRecord(
            id=f"shipped-{_slug(file.relative_to(root).with_suffix('').as_posix())}",
            name=file.stem.replace("_", " "),
            origin="shipped",
            kind=kind_of(file),
            path=str(file),
            added=file.stat().st_mtime,
        )
        for file in (*sorted(root.glob("*/*.jsonl")), *sorted(root.glob("*/prompt.md")))
    )


def _is_small(file: Path) -> bool:
    return file.is_file() and file.stat().st_size <= SMALL_BYTES


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    return digest_of_set(one) == digest_of_set(other)


def _answers(path: Path, kind: SetKind) -> Iterator[bool]:
    """Whether each of the first usable lines has an answer."""
    try:
        if kind in ("inputs", "text"):
            for _, item in islice(read_items(path), PEEKED_LINES):
                yield isinstance(item, LabelledItem) and item.gold is not None
            return
        for record in islice(read_records(path), PEEKED_LINES):
            found = prompt_of(record, 0) if isinstance(record, Record) else None
            yield isinstance(found, Prompt) and found.answer is not None
    except DatasetError:
        return


def _slug(text: str) -> str:
    return _UNSAFE.sub("-", text).strip("-")[:60] or "set"


def _new_id(name: str) -> str:
    return f"{_slug(name)[:40]}-{secrets.token_hex(4)}"
