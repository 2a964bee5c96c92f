"""Views of the list of runs that the user saved, in one file of the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from backend.history.views import View
from backend.settings import BackendSettings
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, set_aside, write_text_atomically

VIEWS_FILE = "views.json"
MAX_BYTES = 1_000_000


class SavedView(View):
    """A name, and what the address of the list holds: filters, columns, sort, group."""

    name: str = Field(min_length=1, max_length=80)
    search: Annotated[str, Field(max_length=4000)] = Field(description="JSON, read by the page.")


class SavedViews(View):
    """Every saved view, in the user's order; names are unique."""

    views: tuple[SavedView, ...] = Field((), max_length=100)


def read_views(settings: BackendSettings) -> SavedViews:
    """Return the saved views; none where there is no file that can be read."""
    try:
        return SavedViews.model_validate_json(read_plain(_file(settings), MAX_BYTES))
    except (OSError, RunError, ValidationError):
        return SavedViews()


def write_views(settings: BackendSettings, views: SavedViews) -> SavedViews:
    """Replace the saved views; of two of one name the later one is kept.

    A file that cannot be read is put aside, not written over.
    """
    _put_damaged_aside(_file(settings))
    by_name = {view.name: view for view in views.views}
    kept = SavedViews(views=tuple(by_name.values()))
    write_text_atomically(_file(settings), kept.model_dump_json(indent=1))
    return kept


def _put_damaged_aside(file: Path) -> None:
    try:
        SavedViews.model_validate_json(read_plain(file, MAX_BYTES))
    except FileNotFoundError:
        return
    except (OSError, RunError, ValidationError):
        set_aside(file)


def _file(settings: BackendSettings) -> Path:
    return settings.workspace / VIEWS_FILE
