"""What a cache on disk knows of its teachers, so that another Mac needs none of their weights.

teachers/<fingerprint>/ has a teacher's small files (config, tokenizer, template) and card.json,
which says what the settings called it. With them its tokens can be compared with a student's and
its rows be found; rows that are missing still need the teacher itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import make_private, read_plain, write_text_atomically

TEACHERS, CARD = "teachers", "card.json"
SMALL_FILES = (".json", ".jinja", ".model", ".txt", ".tiktoken")
MAX_FILE_BYTES = 100_000_000


class Card(BaseModel):
    """A teacher that rows were asked of; its adapter, if it wears one, is not a part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    mixed_precision: bool
    fingerprint: str


def write_card(cache: Path, card: Card, model_folder: Path) -> None:
    """Note a teacher that is on this machine, once."""
    folder = cache / TEACHERS / card.fingerprint
    if (folder / CARD).is_file():
        return
    make_private(folder)
    for file in sorted(model_folder.iterdir()):
        is_small = file.suffix in SMALL_FILES and "index" not in file.name
        if is_small and file.is_file() and file.stat().st_size <= MAX_FILE_BYTES:
            shutil.copyfile(file, folder / file.name)
    write_text_atomically(folder / CARD, card.model_dump_json())


def find_card(cache: Path, model: str, mixed_precision: bool) -> tuple[Card, Path] | None:
    """A teacher of that name, and the folder of its small files; of a path the last part counts.

    None where the cache knows none, or several.
    """
    found: list[tuple[Card, Path]] = []
    for file in sorted((cache / TEACHERS).glob(f"*/{CARD}")):
        try:
            card = Card.model_validate_json(read_plain(file))
        except (OSError, RunError, ValidationError):
            continue
        if card.mixed_precision == mixed_precision and _last(card.model) == _last(model):
            found.append((card, file.parent))
    return found[0] if len(found) == 1 else None


def _last(model: str) -> str:
    path = Path(model)
    return path.name if path.is_absolute() else model
