"""Lint reports and previews of sets as the pages ask for them, answered behind the door."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from backend.door.door import DOOR
from backend.door.questions import LintQuestion, PreviewQuestion
from backend.models.place import Hub
from backend.problems import WrongFieldError
from backend.prompt_sets.views import PreviewPage
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.linter import LintReport
from OnPolicyDistill.registry import local_folder

KEPT_REPORTS = 16


class Linter:
    """Keeps the last reports, because a page asks for the same one again and again."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._reports: OrderedDict[tuple[str, ...], LintReport] = OrderedDict()
        self._lock = Lock()

    def folder_of(self, model: str | None) -> Path | None:
        """The folder of a model that measures; None counts characters.

        Raises:
            WrongFieldError: it is not here.
        """
        if model is None:
            return None
        folder = local_folder(model, self._hub.cache_dir)
        if folder is None:
            raise WrongFieldError("query.model", f"{model[:200]} is not on this machine.")
        return folder.resolve()

    def lint(self, question: LintQuestion) -> LintReport:
        """Check a file line by line.

        Raises:
            DatasetError: a file cannot be read.
            ModelError: the model's tokenizer or template is damaged.
        """
        key = _fingerprint(question)
        with self._lock:
            known = self._reports.get(key)
        if known is not None:
            return known
        report = DOOR.ask(question, LintReport)
        if report.pictures is not None:
            return report  # their files may change while the set's does not
        with self._lock:
            self._reports[key] = report
            while len(self._reports) > KEPT_REPORTS:
                self._reports.popitem(last=False)
        return report

    def preview(
        self, file: Path, kind: SetKind, model: str | None, offset: int, limit: int
    ) -> PreviewPage:
        """Show some lines of a set, in order, with a model also as it would see them.

        Raises:
            DatasetError: the file cannot be read.
            ModelError: the template does not come to an end.
            WrongFieldError: the model is not here.
        """
        question = PreviewQuestion(
            file=file, set_kind=kind, folder=self.folder_of(model), offset=offset, limit=limit
        )
        return DOOR.ask(question, PreviewPage)


def _fingerprint(question: LintQuestion) -> tuple[str, ...]:
    """What changes when the answer may."""
    files = [question.file] if question.other is None else [question.file, question.other]
    marks = (f"{f}:{f.stat().st_mtime_ns}:{f.stat().st_size}" for f in files)
    return (*marks, question.model_dump_json())
