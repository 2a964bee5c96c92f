"""What lies on this machine: the hub's cache, embedded models, folders that the user named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.door.folders import facts_of_folder
from backend.door.questions import FolderFacts
from backend.models.place import Hub, cache_name
from backend.models.views import LocalModel, Origin
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.planning.architectures import training_reason
from OnPolicyDistill.planning.sizes import fits
from OnPolicyDistill.registry import all_models, find_model, local_folder

CACHE_PREFIX = "models--"


@dataclass(frozen=True, slots=True)
class _Found:
    """Something that is or becomes a model."""

    id: str
    name: str
    origin: Origin
    holder: Path
    folder: Path | None


def list_local(
    hub: Hub, folders: tuple[Path, ...], limit: int, used_by: Mapping[str, tuple[str, ...]]
) -> tuple[LocalModel, ...]:
    """Describe everything on this machine; `used_by` has run ids by `canonical` name."""
    found = (*_cached(hub), *_embedded(), *_named(folders))
    return tuple(_describe(model, limit, used_by) for model in found)


def canonical(name: str) -> str:
    """Return one name for all the names of a model: its hub id, alias or real folder."""
    known = find_model(name)
    if known is not None:
        return known.hub_id or known.alias
    path = Path(name)
    return str(path.resolve()) if path.is_absolute() else name


def folder_id(folder: Path) -> str:
    """Return the id of a folder that the user named."""
    return f"folder--{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"


def _cached(hub: Hub) -> Iterator[_Found]:
    for holder in sorted(hub.cache_dir.glob(f"{CACHE_PREFIX}*")):
        hub_id = holder.name.removeprefix(CACHE_PREFIX).replace("--", "/", 1)
        if holder.is_dir() and cache_name(hub_id) == holder.name:
            folder = local_folder(hub_id, hub.cache_dir)
            yield _Found(holder.name, hub_id, "hub", holder, folder)


def _embedded() -> Iterator[_Found]:
    for model in all_models():
        if model.folder is not None and model.folder.is_dir():
            name = f"embedded--{model.alias}"
            yield _Found(name, model.alias, "embedded", model.folder, model.folder)


def _named(folders: tuple[Path, ...]) -> Iterator[_Found]:
    for folder in folders:
        found = folder if folder.is_dir() else None
        yield _Found(folder_id(folder), str(folder), "folder", folder, found)


def _describe(found: _Found, limit: int, used_by: Mapping[str, tuple[str, ...]]) -> LocalModel:
    known = find_model(found.name)
    plain = LocalModel(
        id=found.id,
        name=found.name,
        origin=found.origin,
        alias=None if known is None else known.name,
        path=None if found.folder is None else str(found.folder),
        disk_bytes=disk_bytes(found.holder),
        is_complete=found.folder is not None,
        used_by=used_by.get(canonical(found.name), ()),
    )
    if found.folder is None:
        gone = "The folder is gone." if found.origin == "folder" else "It is not complete."
        return plain.model_copy(update={"problem": gone})
    try:
        return plain.model_copy(update=_shown(facts_of_folder(found.folder), limit))
    except (DistillError, OSError) as error:
        return plain.model_copy(update={"problem": str(error)})


def _shown(facts: FolderFacts, limit: int) -> dict[str, str | int | float | bool | None]:
    return {
        "family": facts.family,
        "bits": facts.bits,
        "precision": facts.precision,
        "tokens": facts.tokens,
        "thinking": facts.thinking,
        "vision": facts.vision,
        "trains": training_reason(facts.family) is None,
        "parameters": facts.parameters,
        "weights_gb": round(facts.loaded_bytes / 1e9, 6),
        "verdict": fits(facts.loaded_bytes, limit),
        "logit_width": facts.logit_width,
        "vocab_size": facts.vocab_size,
        "has_template": facts.has_template,
    }


def disk_bytes(folder: Path) -> int:
    """Bytes of all files in a folder, links not followed; 0 where it is gone."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue  # a download renames its files while we look
    return total
