"""The models of this machine as one thing: list, name a folder, forget, delete."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import or_, select

from backend.backend import Backend
from backend.history.tables import ValueRow
from backend.history.views import View
from backend.models.known import list_known
from backend.models.local import CACHE_PREFIX, canonical, folder_id, list_local
from backend.models.place import Hub
from backend.models.views import LocalModel, ModelList
from backend.paths import PathError
from backend.problems import ConflictError, NotFoundError
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.methods import ALL_FACTS
from OnPolicyDistill.planning.sizes import memory_limit

FOLDERS_FILE = "model_folders.json"
MODEL_KEYS = tuple(f"{facts.block}.{model.key}" for facts in ALL_FACTS for model in facts.models)
VARIANT_MODELS = "evaluation.variants.%.model"
NAMED_RUNS = 5


class _Folders(View):
    """Folders with models that the user named."""

    folders: tuple[Path, ...] = ()


class ModelLibrary:
    """Methods may be called from any thread."""

    def __init__(self, backend: Backend, hub: Hub) -> None:
        self.hub = hub
        self._backend = backend
        self._file = backend.settings.workspace / FOLDERS_FILE

    def list(self) -> ModelList:
        """Describe every model that is known or here."""
        limit = memory_limit()
        local = self.local(limit)
        existing = next(p for p in (self.hub.cache_dir, *self.hub.cache_dir.parents) if p.exists())
        return ModelList(
            known=list_known(local, limit),
            local=local,
            limit_gb=round(limit / 1e9, 2),
            cache_dir=str(self.hub.cache_dir),
            free_gb=round(shutil.disk_usage(existing).free / 1e9, 2),
        )

    def local(self, limit: int | None = None) -> tuple[LocalModel, ...]:
        """Describe every model that is here."""
        return list_local(self.hub, self._folders(), limit or memory_limit(), self.used_by())

    def knows_folder(self, name: str) -> bool:
        """Whether a name is the path of a folder that the user named, or of no folder at all."""
        folder = Path(name).expanduser()
        return not folder.is_dir() or folder.resolve() in {p.resolve() for p in self._folders()}

    def find(self, model_id: str) -> LocalModel:
        """Return a model by id.

        Raises:
            NotFoundError: it is not here.
        """
        found = next((model for model in self.local() if model.id == model_id), None)
        if found is None:
            raise NotFoundError(f"There is no model {model_id} on this machine.")
        return found

    def add_folder(self, folder: Path) -> LocalModel:
        """Remember a folder with a model; naming it again changes nothing.

        Raises:
            PathError: it holds no model.
        """
        if not (folder / "config.json").is_file():
            raise PathError(f"{folder} has no config.json.", "Pick the folder of a model.")
        known = self._folders()
        if folder not in known:
            self._remember((*known, folder))
        return self.find(folder_id(folder))

    def remove(self, model_id: str, confirmed: bool) -> None:
        """Delete a download, or forget a folder, whose files stay.

        Raises:
            NotFoundError: it is not here.
            ConflictError: it is shipped, at work, or used by runs and not confirmed.
        """
        model = self.find(model_id)
        if model.origin == "embedded":
            raise ConflictError(f"{model.name} belongs to this program.", code="model_embedded")
        if model.origin == "folder":
            self._remember(tuple(p for p in self._folders() if folder_id(p) != model_id))
            return
        self._refuse_while_used(model, confirmed)
        assert model_id.startswith(CACHE_PREFIX)
        shutil.rmtree(self.hub.cache_dir / model_id)

    def used_by(self) -> dict[str, tuple[str, ...]]:
        """Return ids of runs by the canonical names of the models that they name."""
        found: dict[str, list[str]] = defaultdict(list)
        with self._backend.index.session() as session:
            rows = session.execute(
                select(ValueRow.run_id, ValueRow.words)
                .where(
                    or_(ValueRow.key.in_(MODEL_KEYS), ValueRow.key.like(VARIANT_MODELS)),
                    ValueRow.words.is_not(None),
                )
                .order_by(ValueRow.run_id)
            ).all()
        for run_id, name in rows:
            runs = found[canonical(str(name))]
            if run_id not in runs:
                runs.append(run_id)
        return {name: tuple(run_ids) for name, run_ids in found.items()}

    def _refuse_while_used(self, model: LocalModel, confirmed: bool) -> None:
        busy = [run for run in model.used_by if self._backend.supervisor.is_busy_with(run)]
        busy += [run for run in model.used_by if run in self._backend.watcher.running]
        if busy:
            message = f"{model.name} is used by {_listed(busy)}, at work or waiting."
            raise ConflictError(message, "Stop it first.", code="model_busy")
        if model.used_by and not confirmed:
            message = f"{model.name} is used by {_listed(list(model.used_by))}."
            action = "They could not be resumed without it. Confirm to delete it all the same."
            raise ConflictError(message, action, code="model_used")

    def _folders(self) -> tuple[Path, ...]:
        try:
            return _Folders.model_validate_json(read_plain(self._file)).folders
        except (FileNotFoundError, RunError, ValidationError):
            return ()

    def _remember(self, folders: tuple[Path, ...]) -> None:
        write_text_atomically(self._file, _Folders(folders=folders).model_dump_json())


def _listed(run_ids: list[str]) -> str:
    distinct = list(dict.fromkeys(run_ids))
    more = f" and {len(distinct) - NAMED_RUNS} more" if len(distinct) > NAMED_RUNS else ""
    count = "1 run" if len(distinct) == 1 else f"{len(distinct)} runs"
    return f"{count}: {', '.join(distinct[:NAMED_RUNS])}{more}"
