"""Starts, cancels, lists and removes exports, and sends them to the hub after a dry run."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from pathlib import Path
from threading import Lock

from huggingface_hub import get_token
from pydantic import ValidationError

from backend.backend import Backend
from backend.exports.options import check_possible, checkpoint_folder
from backend.exports.pushing import PushOrder
from backend.exports.views import (
    ExportRecord,
    ExportView,
    ExportWish,
    Push,
    PushedFile,
    PushPlan,
    PushView,
    PushWish,
)
from backend.exports.work import Workshop
from backend.models.place import Hub
from backend.problems import ConflictError, NotFoundError
from backend.system.folders import check_room
from backend.system.room import LowMemoryError, check_memory
from OnPolicyDistill.adapters.export_messages import ExportOrder
from OnPolicyDistill.adapters.forms import LIGHT_FORMS
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.runs.chosen_folders import EXPORTS, ready_exports_folder

EXPORT_COMMAND = (sys.executable, "-m", "OnPolicyDistill.cli.exporting")
PUSH_COMMAND = (sys.executable, "-m", "backend.exports.pushing")
RECORDS = ".records"
MEASURE_LATER = "Export it again when nothing has a model in memory."


class Exports:
    """Methods may be called from any thread."""

    def __init__(self, backend: Backend, hub: Hub) -> None:
        self._backend = backend
        self._hub = hub
        self.folder = backend.settings.workspace / EXPORTS
        self._workshop = Workshop(self.folder / RECORDS)
        self._lock = Lock()
        self._settled: set[str] = set()  # asked often, so what ended is not read again

    def list(self) -> tuple[ExportView, ...]:
        """Return every export, the last started first."""
        names = (file.stem for file in (self.folder / RECORDS).glob("*.json"))
        views = [self._view(name, record) for name in names if (record := self._read(name))]
        return tuple(sorted(views, key=lambda view: view.created, reverse=True))

    def get(self, name: str) -> ExportView:
        """Return an export as it stands.

        Raises:
            NotFoundError: there is none.
        """
        return self._view(name, self._record(name))

    def start(self, wish: ExportWish, blocked: str) -> ExportView:
        """Begin to write an export; `blocked` says why no model may be loaded now, if so.

        Raises:
            ConflictError: the name is taken, or a model would be loaded and may not.
            InputError: the folder that was chosen for exports is not there.
            WrongFieldError: there is no such checkpoint, or the form is not possible.
            DiskFullError: the disk has no room for it.
        """
        with self._lock:
            target = ready_exports_folder(self._backend.settings.workspace) / wish.name
            if self._read(wish.name) is not None or target.exists():
                raise ConflictError(
                    f"There is an export named {wish.name}.", "Choose another name, or delete it."
                )
            expected_bytes = check_possible(self._backend, self._hub, wish)
            check_room(target.parent, expected_bytes)
            why_not = self._why_not_measured(wish, blocked)
            run = self._backend.existing(wish.run_id)
            order = ExportOrder(
                run=str(run.path),
                checkpoint=str(checkpoint_folder(run, wish.checkpoint)),
                target=str(target),
                form=wish.form,
                bits=wish.bits,
                group_size=wish.group_size,
                dequantize=wish.dequantize,
                gguf_type=wish.gguf_type,
                why_not_measured=why_not,
            )
            command = [*EXPORT_COMMAND, order.model_dump_json()]
            self._settled.discard(wish.name)
            worker = self._workshop.start(wish.name, command, {"HF_HUB_OFFLINE": "1"})
            record = ExportRecord(
                wish=wish,
                created=time.time(),
                worker=worker,
                folder=str(target.parent),
                holds_model=not why_not,
            )
            self._write(record)
            return self._view(wish.name, record)

    def _why_not_measured(self, wish: ExportWish, blocked: str) -> str:
        """Why an export is written without being measured: the model has no room; mostly empty.

        Raises:
            ConflictError: it cannot be written without the model either.
            LowMemoryError: the same.
        """
        if wish.form not in LIGHT_FORMS:
            if blocked:
                raise ConflictError(blocked, "Pause it or wait for it.", code="gpu_busy")
            check_memory(self._backend.settings)
            return ""
        if blocked:
            return f"{blocked} {MEASURE_LATER}"
        try:
            check_memory(self._backend.settings)
        except LowMemoryError as error:
            return f"{error.message} {MEASURE_LATER}"
        return ""

    def at_work(self) -> str | None:
        """Say which export has a model in memory now, or None."""
        for file in (self.folder / RECORDS).glob("*.json"):
            record = None if file.stem in self._settled else self._read(file.stem)
            if record is None or not record.holds_model:
                continue
            if self._view(file.stem, record).work.state == "running":
                return f"The export {file.stem} is being written."
            self._settled.add(file.stem)
        return None

    def cancel(self, name: str) -> ExportView:
        """End an export or its push, whichever is at work; again changes nothing.

        Raises:
            NotFoundError: there is none.
        """
        with self._lock:
            record = self._record(name)
            view = self._view(name, record)
            if view.work.state == "running":
                self._write(record.model_copy(update={"is_cancelled": True}))
                self._workshop.end(record.worker)
                shutil.rmtree(self._partial(record), ignore_errors=True)
            if record.push and view.push and view.push.work.state == "running":
                push = record.push.model_copy(update={"is_cancelled": True})
                self._write(record.model_copy(update={"push": push}))
                self._workshop.end(record.push.worker)
            return self.get(name)

    def delete(self, name: str) -> None:
        """Remove an export with its folder; does nothing where there is none.

        Raises:
            ConflictError: it is being written or sent.
        """
        with self._lock:
            record = self._read(name)
            if record is None:
                return
            view = self._view(name, record)
            pushes = view.push is not None and view.push.work.state == "running"
            if view.work.state == "running" or pushes:
                raise ConflictError(f"{name} is being worked on.", "Cancel it first.")
            for folder in (self._target(record), self._partial(record)):
                shutil.rmtree(folder, ignore_errors=True)
            for about in (name, _push_name(name)):
                self._workshop.forget(about)
            self._file(name).unlink(missing_ok=True)

    def plan_push(self, name: str, repository: str) -> PushPlan:
        """Say what a push would send, without the network.

        Raises:
            NotFoundError: there is no such export.
            ConflictError: it is not finished.
        """
        folder = self.finished_folder(name)
        files = tuple(
            PushedFile(name=file.name, num_bytes=file.stat().st_size)
            for file in sorted(folder.iterdir())
            if file.is_file()
        )
        text = repr((repository, [(file.name, file.num_bytes) for file in files]))
        return PushPlan(
            repository=repository,
            files=files,
            num_bytes=sum(file.num_bytes for file in files),
            has_token=get_token() is not None,
            digest=hashlib.sha256(text.encode()).hexdigest(),
        )

    def push(self, name: str, wish: PushWish) -> ExportView:
        """Begin to send an export to the hub; one that is being sent goes on as it is.

        Raises:
            NotFoundError: there is no such export.
            ConflictError: it is not what the plan showed, or there is no token.
        """
        plan = self.plan_push(name, wish.repository)
        if plan.digest != wish.digest:
            raise ConflictError("This is not what the dry run showed.", "Do the dry run again.")
        if not plan.has_token:
            raise ConflictError(
                "There is no hub token on this machine.",
                "Set one with write access, then push again.",
                code="hub_token",
            )
        with self._lock:
            record = self._record(name)
            view = self._view(name, record)
            if view.push is not None and view.push.work.state == "running":
                return view
            order = PushOrder(
                folder=str(self._target(record)),
                repository=wish.repository,
                is_private=wish.is_private,
                num_bytes=plan.num_bytes,
            )
            command = [*PUSH_COMMAND, order.model_dump_json()]
            hub = self._hub.endpoint
            worker = self._workshop.start(
                _push_name(name), command, {} if hub is None else {"HF_ENDPOINT": hub}
            )
            push = Push(repository=wish.repository, is_private=wish.is_private, worker=worker)
            self._write(record.model_copy(update={"push": push}))
            return self.get(name)

    def finished_folder(self, name: str) -> Path:
        """Return the folder of a finished export.

        Raises:
            NotFoundError: there is no such export.
            ConflictError: it is not finished, or somebody moved its folder.
        """
        view = self.get(name)
        folder = Path(view.path)
        if view.work.state != "finished" or not folder.is_dir():
            raise ConflictError(f"The export {name} is not there complete.", "Export it again.")
        return folder

    def _view(self, name: str, record: ExportRecord) -> ExportView:
        push = record.push
        return ExportView(
            name=name,
            path=str(self._target(record)),
            created=record.created,
            work=self._workshop.view(name, record.worker, record.is_cancelled),
            push=None
            if push is None
            else PushView(
                repository=push.repository,
                is_private=push.is_private,
                work=self._workshop.view(_push_name(name), push.worker, push.is_cancelled),
            ),
            **record.wish.model_dump(exclude={"name"}),
        )

    def _target(self, record: ExportRecord) -> Path:
        return Path(record.folder or self.folder) / record.wish.name

    def _partial(self, record: ExportRecord) -> Path:
        return self._target(record).with_name(f".{record.wish.name}.partial")

    def _record(self, name: str) -> ExportRecord:
        record = self._read(name)
        if record is None:
            raise NotFoundError(f"There is no export {name}.")
        return record

    def _read(self, name: str) -> ExportRecord | None:
        try:
            return ExportRecord.model_validate_json(read_plain(self._file(name)))
        except (FileNotFoundError, RunError, ValidationError):
            return None

    def _write(self, record: ExportRecord) -> None:
        write_text_atomically(self._file(record.wish.name), record.model_dump_json(indent=1))

    def _file(self, name: str) -> Path:
        return self.folder / RECORDS / f"{name}.json"


def _push_name(name: str) -> str:
    return f"{name}~push"  # no export can have that name
