"""What the linter says of each set, in numbers: looked at one after the other, kept by content.

A list of sets must not read them: it tells what is kept, found by a file's size and times. What is
kept can be deleted and is made again.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Lock, Thread

from pydantic import Field, ValidationError

from backend.door.questions import LintQuestion
from backend.history.views import View
from backend.prompt_sets.linter import Linter
from backend.prompt_sets.views import LookState, SetLook
from OnPolicyDistill.datasets.file_digests import digest_of_set
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.linter import LintReport
from OnPolicyDistill.errors import DistillError, RunError
from OnPolicyDistill.files import read_plain, write_text_atomically

LOOKS_FILE = "set_looks.json"
MAX_BYTES = 4_000_000
KEPT_LOOKS = 1_000
# About a second of linting; what is larger is looked at where somebody asks for it.
SMALL_BYTES = 32_000_000
VERSION = version("onpolicydistill")

logger = logging.getLogger(__name__)


class _Mark(View):
    """A file as it was when its content was read."""

    num_bytes: int
    modified_ns: int
    inode: int
    content: str = Field("", description="Its SHA-256.")


class _Kept(View):
    """The file: marks by path, looks by kind and content. Another version lints otherwise."""

    version: str
    marks: dict[str, _Mark] = Field(default_factory=dict)
    looks: dict[str, SetLook] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether a set was looked at, what was seen, and its content where that is known."""

    state: LookState
    look: SetLook | None = None
    since: float | None = None
    content: str | None = None


class Looks:
    """Methods may be called from any thread; one thread of its own looks while there is work."""

    def __init__(self, workspace: Path, linter: Linter) -> None:
        self._file = workspace / LOOKS_FILE
        self._linter = linter
        kept = _read(self._file)
        self._marks = OrderedDict(kept.marks)
        self._looks = OrderedDict(kept.looks)
        self._lock = Lock()
        self._waiting: OrderedDict[Path, SetKind] = OrderedDict()
        self._current: tuple[Path, float] | None = None
        self._is_at_work = False

    def of(self, file: Path, kind: SetKind) -> Seen:
        """What is known of a file as it is now."""
        mark = _mark_of(file)
        with self._lock:
            if self._current is not None and self._current[0] == file:
                return Seen("looking", since=self._current[1])
            if file in self._waiting:
                return Seen("waiting")
            known = self._marks.get(str(file))
            if mark is None or known is None or known != _with_content(mark, known.content):
                return Seen("unseen")
            look = self._looks.get(_key(kind, known.content))
        if look is None:
            return Seen("unseen", content=known.content)
        return Seen("seen", look, content=known.content)

    def begin(self, files: Iterable[tuple[Path, SetKind]]) -> None:
        """Look at files after those that wait already; what was seen is not looked at again."""
        wanted = [(file, kind) for file, kind in files if self.of(file, kind).state == "unseen"]
        with self._lock:
            self._waiting.update(wanted)
            if not self._waiting or self._is_at_work:
                return
            self._is_at_work = True
        Thread(target=self._work, name="looks at sets", daemon=True).start()

    def keep(self, file: Path, kind: SetKind, report: LintReport) -> None:
        """Keep what somebody else had linted, in characters and beside no other set."""
        # Pictures may have changed while the set that names them did not.
        if report.pictures is not None or self.of(file, kind).state != "seen":
            self.take(file, kind, report)

    def take(self, file: Path, kind: SetKind, report: LintReport | None = None) -> None:
        """Look at a file now; `report` is what somebody else had linted of it."""
        before = _mark_of(file)
        if before is None:
            return
        content = f"unread {file}"
        try:
            content = digest_of_set(file).sha256
            look = self._known(kind, content) if report is None else None
            if look is None:
                question = LintQuestion(file=file, set_kind=kind)
                look = _look_of(report or self._linter.lint(question))
        except DistillError as error:
            look = SetLook(verdict="error", problem=error.message, looked=time.time())
        if _mark_of(file) == before:  # else it was changed while it was read
            self._remember(str(file), _with_content(before, content), _key(kind, content), look)

    def _work(self) -> None:
        try:
            while (wanted := self._next()) is not None:
                self.take(*wanted)
        except BaseException:
            with self._lock:
                self._waiting.clear()
                self._current, self._is_at_work = None, False
            raise

    def _next(self) -> tuple[Path, SetKind] | None:
        with self._lock:
            self._current = None
            if not self._waiting:
                self._is_at_work = False
                return None
            file, kind = self._waiting.popitem(last=False)
            self._current = (file, time.time())
            return file, kind

    def _known(self, kind: SetKind, content: str) -> SetLook | None:
        with self._lock:
            return self._looks.get(_key(kind, content))

    def _remember(self, path: str, mark: _Mark, key: str, look: SetLook) -> None:
        with self._lock:
            self._marks[path], self._looks[key] = mark, look
            for kept in (self._marks, self._looks):
                while len(kept) > KEPT_LOOKS:
                    kept.popitem(last=False)
            everything = _Kept(version=VERSION, marks=self._marks, looks=self._looks)
            try:
                write_text_atomically(self._file, everything.model_dump_json())
            except DistillError:
                logger.warning("%s could not be written; it is made again", self._file)


def _look_of(report: LintReport) -> SetLook:
    return SetLook(
        verdict=report.verdict,
        num_lines=report.num_lines,
        num_usable=report.num_prompts,
        num_answers=report.num_answers,
        num_duplicates=report.num_duplicates,
        num_errors=report.num_errors,
        num_warnings=report.num_warnings,
        looked=time.time(),
    )


def _mark_of(file: Path) -> _Mark | None:
    try:
        about = file.stat()
    except OSError:
        return None
    return _Mark(num_bytes=about.st_size, modified_ns=about.st_mtime_ns, inode=about.st_ino)


def _with_content(mark: _Mark, content: str) -> _Mark:
    return mark.model_copy(update={"content": content})


def _key(kind: SetKind, content: str) -> str:
    return f"{kind} {content}"


def _read(file: Path) -> _Kept:
    """What is kept; nothing where it is damaged, or of another version of this program."""
    try:
        kept = _Kept.model_validate_json(read_plain(file, MAX_BYTES))
    except (FileNotFoundError, RunError, ValidationError):
        kept = _Kept(version=VERSION)
    return kept if kept.version == VERSION else _Kept(version=VERSION)
