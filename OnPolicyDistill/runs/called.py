"""What a person calls a run, for sentences about it."""

from __future__ import annotations

from OnPolicyDistill.config import settings_of
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.runs.annotations import read_annotations
from OnPolicyDistill.runs.directory import RunDirectory


def name_of(run: RunDirectory) -> str:
    """What a person called a run; empty where that is nothing or cannot be read."""
    try:
        return read_annotations(run).name or settings_of(run.config()).run_name or ""
    except (DistillError, OSError, ValueError):
        return ""


def called(run: RunDirectory) -> str:
    """A run in a sentence: its name in quotation marks, or the id of one that nobody named."""
    name = name_of(run)
    return f"“{name}”" if name else run.run_id


def called_and_id(run: RunDirectory) -> str:
    """A run where another of its name must not be meant: its name, and its id behind it."""
    name = name_of(run)
    return f"“{name}” ({run.run_id})" if name else run.run_id
