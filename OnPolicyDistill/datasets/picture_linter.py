"""What the linter looks for in a set's pictures: broken ones, sizes, the same one again, leakage.

Every picture is decoded once in this process, because only then one knows that it can be and what
it shows; beyond a number of pictures a set's further ones are told by their names and headers.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from threading import Lock
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.datasets.picture_prompts import unread_picture
from OnPolicyDistill.datasets.pictures import PictureSource, named, picture_size, seen_picture
from OnPolicyDistill.datasets.prompt_rules import Finding, Severity, problem_finding
from OnPolicyDistill.errors import DatasetError

if TYPE_CHECKING:
    from OnPolicyDistill.pictures import Sight

MAX_DECODED = 5_000
MAX_KNOWN = 50_000
MANY_USES = 10

# Told how many pictures of the file have been looked at.
Progress = Callable[[int], None]


class PictureFacts(BaseModel):
    """The pictures of a set as a model reads them; sizes in pixels are those of the files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_pictures: int = Field(description="Pictures of all lines, repeated ones included.")
    num_different: int = Field(description="Pictures that differ in what they show.")
    num_lines: int = Field(description="Lines with a picture.")
    num_broken: int
    num_leaked: int = Field(description="Different pictures that the other set has too.")
    median_tokens: int = Field(description="Tokens of the model that half of the pictures take.")
    longest_tokens: int
    total_tokens: int
    largest_width: int
    largest_height: int


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a picture: a mark that equal pictures share, and the upright size."""

    mark: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class LinePictures:
    """What a line's pictures are: findings, marks in order, and tokens beyond their placeholders.

    `num_tokens` is of all of them.
    """

    findings: tuple[Finding, ...] = ()
    marks: tuple[str, ...] = ()
    num_tokens: int = 0


class KnownPictures:
    """Remembers what pictures showed, by file and time or by bytes; may be asked by any thread."""

    def __init__(self) -> None:
        self._looks: OrderedDict[str, Look] = OrderedDict()
        self._lock = Lock()

    def look(self, source: PictureSource, decode: bool = True) -> Look:
        """Decode a picture unless it is known; without `decode` its header is enough.

        Raises:
            DatasetError: it cannot be read; names file and line.
        """
        state = source.state()
        with self._lock:
            known = self._looks.get(state)
        if known is not None:
            return known
        if not decode:
            return Look(source.key, *picture_size(source))
        look = Look(*seen_picture(source))
        with self._lock:
            self._looks[state] = look
            while len(self._looks) > MAX_KNOWN:
                self._looks.popitem(last=False)
        return look


KNOWN = KnownPictures()


@dataclass(slots=True)
class PictureLint:
    """One pass over a file's pictures; without a sight they are refused and not looked at."""

    sight: Sight | None
    elsewhere: frozenset[str] = frozenset()
    progress: Progress | None = None
    uses: Counter[str] = field(default_factory=Counter)
    first_line: dict[str, int] = field(default_factory=dict)
    sources: dict[str, set[str]] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)
    leaked_lines: int = 0
    num_lines: int = 0
    num_broken: int = 0
    num_shrunk: int = 0
    num_enlarged: int = 0
    largest: tuple[int, int] = (0, 0)

    def take(self, line: int, pictures: Sequence[PictureSource]) -> LinePictures:
        """Look at the pictures of a line."""
        if not pictures:
            return LinePictures()
        self.num_lines += 1
        if self.sight is None:
            told = problem_finding(unread_picture(line))
            return LinePictures((told,), tuple(source.key for source in pictures))
        findings: list[Finding] = []
        marks: list[str] = []
        num_tokens = 0
        for source in pictures:
            try:
                mark, taken = self._look(line, source, self.sight)
            except DatasetError as error:
                self.num_broken += 1
                mark, taken = source.key, 1
                findings.append(_finding(line, "error", "picture", error.what, error.action))
            marks.append(mark)
            num_tokens += taken
        self.leaked_lines += any(mark in self.elsewhere for mark in marks)
        return LinePictures(tuple(findings), tuple(marks), num_tokens)

    def of_set(self) -> Iterator[Finding]:
        """What is to be said about the set as a whole."""
        yield from self._repeats()
        leaked = sum(mark in self.elsewhere for mark in self.uses)
        if leaked:
            message = (
                f"{_counted(leaked, 'picture')} of the other set {_is(leaked)} here too, on "
                f"{_counted(self.leaked_lines, 'line')}."
            )
            fix = "Keep a picture on one side, or held-out numbers say less than they seem to."
            yield _finding(None, "warning", "leaked_picture", message, fix)
        if self.sight is not None and self.num_shrunk:
            message = (
                f"{_counted(self.num_shrunk, 'picture')} {_is(self.num_shrunk)} larger than "
                f"{self.sight.max_pixels:,} pixels and will be read scaled down."
            )
            fix = "See that what counts can still be read, or raise max_pixels."
            yield _finding(None, "note", "scaled_down", message, fix)
        if self.sight is not None and self.num_enlarged:
            message = (
                f"{_counted(self.num_enlarged, 'picture')} {_is(self.num_enlarged)} smaller than "
                f"{self.sight.min_pixels:,} pixels and will be read enlarged."
            )
            fix = "That costs tokens; lower min_pixels if the model reads them small."
            yield _finding(None, "note", "enlarged", message, fix)
        if len(self.tokens) > MAX_DECODED:
            message = f"The pictures after the first {MAX_DECODED:,} were told by their headers."
            fix = "Whether those can be decoded, and are repeated, is not known."
            yield _finding(None, "note", "not_decoded", message, fix)

    def facts(self) -> PictureFacts | None:
        """Count; None where no line has a picture that was looked at."""
        if not self.num_lines or self.sight is None:
            return None
        return PictureFacts(
            num_pictures=len(self.tokens) + self.num_broken,
            num_different=len(self.uses),
            num_lines=self.num_lines,
            num_broken=self.num_broken,
            num_leaked=sum(mark in self.elsewhere for mark in self.uses),
            median_tokens=round(median(self.tokens)) if self.tokens else 0,
            longest_tokens=max(self.tokens, default=0),
            total_tokens=sum(self.tokens),
            largest_width=self.largest[1],
            largest_height=self.largest[0],
        )

    def _look(self, line: int, source: PictureSource, sight: Sight) -> tuple[str, int]:
        look = KNOWN.look(source, len(self.tokens) < MAX_DECODED)
        with named(source):
            num_tokens = sight.num_places(look.height, look.width)
        self.uses[look.mark] += 1
        self.first_line.setdefault(look.mark, line)
        self.sources.setdefault(look.mark, set()).add(source.key)
        self.tokens.append(num_tokens)
        num_pixels = look.height * look.width
        self.num_shrunk += num_pixels > sight.max_pixels
        self.num_enlarged += num_pixels < sight.min_pixels
        self.largest = max(
            self.largest, (look.height, look.width), key=lambda size: size[0] * size[1]
        )
        if self.progress is not None:
            self.progress(len(self.tokens))
        return look.mark, num_tokens

    def _repeats(self) -> Iterator[Finding]:
        copies = sum(len(names) > 1 for names in self.sources.values())
        if copies:
            message = f"{_counted(copies, 'picture')} {_is(copies)} there under several names."
            yield _finding(None, "note", "same_picture", message, "Name one file for each.")
        most = self.uses.most_common(1)
        if most and most[0][1] >= MANY_USES:
            mark, uses = most[0]
            message = (
                f"One picture is asked about {uses} times, first on line {self.first_line[mark]}."
            )
            fix = "That is as it should be where the questions differ."
            yield _finding(None, "note", "many_uses", message, fix)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _finding(line: int | None, severity: Severity, code: str, message: str, fix: str) -> Finding:
    return Finding(line=line, severity=severity, code=code, message=message, fix=fix)
