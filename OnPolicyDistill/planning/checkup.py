"""The check before a run: settings, pair, prompt files, leakage and disk, all in one report.

It refuses nothing itself and raises nothing about the run: what would stop the run is an error in
the report, with the field that has to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from OnPolicyDistill.config import (
    BLOCK_OF_METHOD,
    EvaluationConfig,
    OnPolicyConfig,
    PromptDistillationConfig,
    RunConfig,
    SftConfig,
)
from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.input_linter import lint_inputs
from OnPolicyDistill.datasets.linter import LintReport, Ruler, lint_prompts
from OnPolicyDistill.errors import DatasetError, InputError, ModelError
from OnPolicyDistill.planning.answering import answering_stages
from OnPolicyDistill.planning.check_report import CheckFinding, CheckReport, PromptText
from OnPolicyDistill.planning.disk import DiskNeeds, disk_needs
from OnPolicyDistill.planning.lengths import ruler_of, ruler_of_model
from OnPolicyDistill.planning.pair import PairReport, check_pair_by_name
from OnPolicyDistill.planning.workload import PromptFacts, make_workload
from OnPolicyDistill.runs.directory import default_workspace
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings

FEW_HELD_OUT = 20
SHOWN_CHARACTERS = 2_000
# The disk needs of a run do not depend on its prompts.
NO_PROMPTS = PromptFacts(1, 1, 1, "not needed")
ADAPTER_FILES = ("adapters.safetensors", "adapter_config.json")


def check_run(config: RunConfig, workspace: Path | None = None) -> CheckReport:
    """Check a run before anything is loaded or downloaded; `workspace` is where it will write."""
    place = default_workspace() if workspace is None else workspace
    if isinstance(config, SftConfig):
        return _report(_Checkup(config, place).files_of_sft())
    if isinstance(config, PromptDistillationConfig):
        return _report(_Checkup(config, place).all_of_prompted(config.prompt_distillation))
    if isinstance(config, EvaluationConfig):
        return _report(_Checkup(config, place).all_of_evaluation(config.evaluation))
    return _report(_Checkup(config, place).all_of_distillation(config.distillation))


class _Checkup:
    """Collects findings, so that one problem does not hide the next."""

    def __init__(self, config: RunConfig, workspace: Path) -> None:
        self.config = config
        self.workspace = workspace
        self.findings: list[CheckFinding] = []
        self.pair: PairReport | None = None
        self.prompts: LintReport | None = None
        self.validation: LintReport | None = None
        self.teacher_prompt: PromptText | None = None
        self.disk: DiskNeeds | None = None

    def all_of_distillation(self, settings: DistillationSettings) -> _Checkup:
        """Check pair, files, adapter and disk."""
        self._check_pair(settings)
        ruler = self._ruler(settings)
        self.prompts = self._lint("prompts", settings.prompts, None, ruler)
        training = None if self.prompts is None else settings.prompts
        self.validation = self._lint(
            "validation_prompts", settings.validation_prompts, training, ruler
        )
        self._check_held_out(settings)
        self._check_adapter(settings.student_adapter)
        self._check_disk()
        return self

    def files_of_sft(self) -> _Checkup:
        """Check the files that supervised fine-tuning names, and the disk."""
        assert isinstance(self.config, SftConfig)
        sft = self.config.sft
        if sft.conversations is None or not Path(sft.conversations).is_file():
            message = "There is no file of training conversations."
            self._add("error", "no_file", "sft.conversations", message, "Name a JSONL file.")
        field = "sft.validation_conversations"
        if sft.validation_conversations is None:
            message = "No held-out conversations are named."
            fix = "Without them nothing shows whether the model learns more than the file by heart."
            self._add("warning", "no_held_out", field, message, fix)
        elif not Path(sft.validation_conversations).is_file():
            self._add("error", "no_file", field, "There is no such file.", "Check the path.")
        self.prompts = self._lint_conversations("conversations", sft.conversations, None)
        training = None if self.prompts is None else sft.conversations
        key = "validation_conversations"
        self.validation = self._lint_conversations(key, sft.validation_conversations, training)
        if self.validation is not None and self.validation.num_leaked:
            message = f"{self.validation.num_leaked} held-out conversations are trained on as well."
            fix = "Remove them from one of the files, or held-out numbers mean nothing."
            self._add("warning", "leaked", f"sft.{key}", message, fix)
        self._check_disk()
        return self

    def _lint_conversations(
        self, key: str, file: str | None, other: str | None
    ) -> LintReport | None:
        if file is None or not Path(file).is_file():
            return None
        assert isinstance(self.config, SftConfig)
        ruler = self._ruler_of(self.config.sft.model, self.config.sft.max_length)
        path, against = Path(file), None if other is None else Path(other)
        return self._told(f"sft.{key}", path, lambda: lint_conversations(path, against, ruler))

    def all_of_prompted(self, settings: PromptDistillationSettings) -> _Checkup:
        """Check files, adapter and disk; on-policy training needs a pair as well."""
        block = "prompt_distillation"
        if settings.training == "on_policy":
            self._check_pair(settings, block)
        self._check_teacher_prompt(settings)
        self._check_inputs(settings)
        self._check_adapter(settings.student_adapter, block)
        self._check_disk()
        return self

    def _check_teacher_prompt(self, settings: PromptDistillationSettings) -> None:
        field, file = "prompt_distillation.teacher_prompt", settings.teacher_prompt
        if not self._needs_file(field, file, "teacher's prompt") or file is None:
            return
        ruler = self._ruler_of(settings.teacher_model, settings.max_length)
        try:
            text = Path(file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            message = f"{file} is no readable text file."
            self._add("error", "no_text", field, message, "Save it as UTF-8.")
            return
        if not text.strip():
            self._add("error", "no_text", field, f"{file} is empty.", "Write the prompt into it.")
        self.teacher_prompt = PromptText(
            path=file,
            length=ruler.measure([text])[0],
            unit="tokens" if ruler.tokenizer else "characters",
            beginning=text[:SHOWN_CHARACTERS],
        )

    def _check_inputs(self, settings: PromptDistillationSettings) -> None:
        """Lint both files of inputs, each against the other's and against the labels."""
        inputs, held_out = settings.inputs, settings.validation_inputs
        ruler = self._ruler_of(settings.student_model, settings.max_length)
        block = "prompt_distillation"

        def lint(key: str, file: str | None, other: str | None, title: str) -> LintReport | None:
            field = f"{block}.{key}"
            if not self._needs_file(field, file, title) or file is None:
                return None
            path, against = Path(file), None if other is None else Path(other)
            return self._told(field, path, lambda: lint_inputs(path, against, ruler, labels))

        labels = settings.labels
        self.prompts = lint("inputs", inputs, None, "file of inputs")
        training = None if self.prompts is None else inputs
        self.validation = lint("validation_inputs", held_out, training, "file of held-out inputs")
        field = f"{block}.validation_inputs"
        if inputs and held_out and Path(held_out).resolve() == Path(inputs).resolve():
            message = "Training and held-out inputs are the same file."
            self._add("error", "leaked", field, message, "Hold back inputs of their own.")
        elif self.validation is not None and self.validation.num_leaked:
            message = f"{self.validation.num_leaked} held-out inputs are in the training file too."
            self._add("warning", "leaked", field, message, "They will not be trained on.")

    def all_of_evaluation(self, settings: EvaluationSettings) -> _Checkup:
        """Check variants, their files, the items and the disk."""
        field, file = "evaluation.inputs", settings.inputs
        if self._needs_file(field, file, "file of labelled items") and file is not None:
            path = Path(file)
            self.validation = self._told(
                field, path, lambda: lint_inputs(path, None, Ruler(), settings.labels)
            )
        if not settings.variants:
            message = "The evaluation names no variants."
            fix = "Name a model, perhaps with an adapter or a prompt."
            self._add("error", "no_variants", "evaluation.variants", message, fix)
            return self
        for number, variant in enumerate(settings.variants):
            field = f"evaluation.variants.{number}"
            if variant.prompt is not None:
                self._needs_file(f"{field}.prompt", variant.prompt, "prompt")
            self._check_adapter(variant.adapter, field)
        self._check_disk()
        return self

    def _needs_file(self, field: str, file: str | None, title: str) -> bool:
        if file is None:
            message = f"No {title} is named; a run without it is refused."
            self._add("error", "no_file", field, message, f"Set {field}.")
            return False
        if not Path(file).is_file():
            self._add("error", "no_file", field, f"There is no {title} {file}.", "Check the path.")
            return False
        return True

    def _check_pair(
        self,
        settings: DistillationSettings | PromptDistillationSettings,
        block: str = "distillation",
    ) -> None:
        try:
            self.pair = check_pair_by_name(settings.student_model, settings.teacher_model)
        except ModelError as error:
            field = f"{block}.student_model, {block}.teacher_model"
            self._add("error", "model", field, error.message, error.action)
            return
        if self.pair.verdict == "ok":
            return
        severity: Literal["error", "warning"] = (
            "error" if self.pair.verdict == "mismatch" else "warning"
        )
        for finding in self.pair.findings:
            if finding.verdict == self.pair.verdict:
                field = f"{block}.student_model"
                fix = "Choose two models of one family, or read docs on what this means."
                self._add(severity, finding.code, field, finding.message, fix)

    def _ruler(self, settings: DistillationSettings) -> Ruler:
        try:
            return ruler_of(settings)
        except ModelError:
            # The pair check has said it already; lengths are then counted in characters.
            return Ruler(max_prompt_tokens=settings.max_prompt_tokens)

    def _ruler_of(self, model: str, max_tokens: int) -> Ruler:
        try:
            return ruler_of_model(model, max_tokens)
        except ModelError:
            # The check of the disk says it.
            return Ruler(max_prompt_tokens=max_tokens)

    def _lint(
        self, key: str, file: str | None, other: str | None, ruler: Ruler
    ) -> LintReport | None:
        field = f"distillation.{key}"
        if file is None:
            kind = "training" if key == "prompts" else "held-out"
            message = f"No {kind} prompts are named; a run without them is refused."
            self._add("error", "no_file", field, message, f"Set {field} to a JSONL file.")
            return None
        path, against = Path(file), None if other is None else Path(other)
        return self._told(field, path, lambda: lint_prompts(path, against, ruler))

    def _told(self, field: str, file: Path, lint: Callable[[], LintReport]) -> LintReport | None:
        """Lint a file; what makes it unusable is a finding about the field that names it."""
        try:
            report = lint()
        except (DatasetError, ModelError) as error:
            self._add("error", "no_file", field, error.message, error.action)
            return None
        if report.num_errors:
            first = next(found for found in report.findings if found.severity == "error")
            where = f"{file}, line {first.line}" if first.line else str(file)
            message = f"{where}: {first.message}"
            if report.num_errors > 1:
                message += f" {report.num_errors} lines in all cannot be used."
            self._add("error", first.code, field, message, first.fix)
        return report

    def _check_held_out(self, settings: DistillationSettings) -> None:
        if self.validation is None:
            return
        field = "distillation.validation_prompts"
        if settings.prompts and settings.validation_prompts and _same_file(settings):
            message = "Training and held-out prompts are the same file."
            self._add("error", "leaked", field, message, "Hold back prompts of their own.")
        elif self.validation.num_leaked:
            message = f"{self.validation.num_leaked} held-out prompts are trained on as well."
            fix = "Remove them from one of the files, or held-out numbers mean nothing."
            self._add("warning", "leaked", field, message, fix)
        if self.validation.num_prompts < FEW_HELD_OUT:
            message = f"Only {self.validation.num_prompts} held-out prompts: numbers will jump."
            self._add("warning", "few_held_out", field, message, "Fifty or more are steady.")

    def _check_adapter(self, folder: str | None, block: str = "distillation") -> None:
        if folder is None:
            return
        missing = [name for name in ADAPTER_FILES if not (Path(folder) / name).is_file()]
        if missing:
            message = f"The adapter folder {folder} has no {' and no '.join(missing)}."
            key = "student_adapter" if block.endswith("distillation") else "adapter"
            field = f"{block}.{key}"
            self._add("error", "adapter", field, message, "Give a folder in mlx-lm's format.")

    def _check_disk(self) -> None:
        try:
            work = make_workload(self.config, NO_PROMPTS, num_held_out=0)
            answering = [stage.work.student for stage in answering_stages(self.config)]
            self.disk = disk_needs(work, self.workspace, answering)
        except InputError as error:
            if self.pair is not None or not isinstance(self.config, OnPolicyConfig):
                self._add("error", "model", _model_fields(self.config), error.message, error.action)
            return
        if not self.disk.is_enough:
            message = (
                f"The disk is too full: {self.disk.download_gb:g} GB to download with "
                f"{self.disk.download_free_gb:g} GB free, {self.disk.run_gb:g} GB to write with "
                f"{self.disk.run_free_gb:g} GB free."
            )
            self._add("error", "disk", "workspace", message, "Free some space.")

    def _add(
        self,
        severity: Literal["error", "warning"],
        code: str,
        field: str,
        message: str,
        fix: str,
    ) -> None:
        found = CheckFinding(severity=severity, code=code, field=field, message=message, fix=fix)
        self.findings.append(found)


def _model_fields(config: RunConfig) -> str:
    """The settings that name models, as one finding names several."""
    if isinstance(config, SftConfig):
        return "sft.model"
    if isinstance(config, EvaluationConfig):
        return "evaluation.variants"
    block = BLOCK_OF_METHOD[config.method]
    return f"{block}.student_model, {block}.teacher_model"


def _same_file(settings: DistillationSettings) -> bool:
    names = (settings.prompts, settings.validation_prompts)
    resolved = {Path(name).resolve() for name in names if name is not None}
    return len(resolved) == 1


def _report(checkup: _Checkup) -> CheckReport:
    severities = {finding.severity for finding in checkup.findings}
    lints = [report for report in (checkup.prompts, checkup.validation) if report is not None]
    odd = "warning" in severities or any(report.num_warnings for report in lints)
    return CheckReport(
        verdict="error" if "error" in severities else "warning" if odd else "ok",
        findings=tuple(_sorted(checkup.findings)),
        pair=checkup.pair,
        prompts=checkup.prompts,
        validation=checkup.validation,
        teacher_prompt=checkup.teacher_prompt,
        disk=checkup.disk,
    )


def _sorted(findings: list[CheckFinding]) -> Iterator[CheckFinding]:
    yield from (finding for finding in findings if finding.severity == "error")
    yield from (finding for finding in findings if finding.severity == "warning")
