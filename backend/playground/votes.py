"""Blind votes: which of two answers is the teacher's? A tally a run: WORKSPACE/blind_votes.json."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from pydantic import Field, TypeAdapter, ValidationError

from backend.history.views import View
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.evaluation.intervals import wilson_interval
from OnPolicyDistill.evaluation.labelled_report import Interval
from OnPolicyDistill.files import disk_errors, read_plain, set_aside, write_text_atomically

VOTES_FILE = "blind_votes.json"
GUESSING = 0.5


class Vote(View):
    """One guess."""

    is_right: bool = Field(description="The answer that was chosen was the teacher's.")


class Count(View):
    """Guesses of one run."""

    num_right: int = Field(0, ge=0)
    num_votes: int = Field(0, ge=0)


class Tally(Count):
    """Guesses of one run and how sure they make anybody."""

    interval: Interval | None = Field(description="95 %, of the share that was right; Wilson's.")
    is_told_apart: bool = Field(description="The whole interval is above what guessing gives.")


_COUNTS: TypeAdapter[dict[str, Count]] = TypeAdapter(dict[str, Count])


class Votes:
    """Methods may be called from any thread."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / VOTES_FILE
        self._lock = Lock()

    def tally(self, run_id: str) -> Tally:
        """Return how often the teacher was found."""
        return _tally(self._read().get(run_id, Count()))

    def add(self, run_id: str, vote: Vote) -> Tally:
        """Count a guess.

        Raises:
            DiskFullError: it cannot be kept.
        """
        with self._lock:
            counts = self._read_to_change()
            before = counts.get(run_id, Count())
            after = Count(
                num_right=before.num_right + vote.is_right, num_votes=before.num_votes + 1
            )
            with disk_errors(self._file):
                text = _COUNTS.dump_json({**counts, run_id: after}).decode()
                write_text_atomically(self._file, text)
        return _tally(after)

    def clear(self, run_id: str) -> Tally:
        """Begin again; a run without votes stays as it is.

        Raises:
            DiskFullError: it cannot be kept.
        """
        with self._lock:
            counts = self._read_to_change()
            if counts.pop(run_id, None) is not None:
                with disk_errors(self._file):
                    write_text_atomically(self._file, _COUNTS.dump_json(counts).decode())
        return _tally(Count())

    def _read(self) -> dict[str, Count]:
        """What is kept; a damaged file counts as none."""
        try:
            return _COUNTS.validate_json(read_plain(self._file))
        except (FileNotFoundError, RunError, ValidationError):
            return {}

    def _read_to_change(self) -> dict[str, Count]:
        """What is kept; a damaged file is put aside, not written over."""
        try:
            return _COUNTS.validate_json(read_plain(self._file))
        except FileNotFoundError:
            return {}
        except (RunError, ValidationError):
            set_aside(self._file)
            return {}


def _tally(count: Count) -> Tally:
    interval = wilson_interval(count.num_right, count.num_votes) if count.num_votes else None
    return Tally(
        **count.model_dump(),
        interval=interval,
        is_told_apart=interval is not None and interval.low > GUESSING,
    )
