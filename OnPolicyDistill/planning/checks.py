"""What the check of every method has in common: findings, files, pair, adapter and disk.

Findings are collected, so that one problem does not hide the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from OnPolicyDistill.config import RunConfig, settings_of
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.linter import LintReport, Ruler
from OnPolicyDistill.datasets.overlap import OVERLAP
from OnPolicyDistill.datasets.set_files import is_set
from OnPolicyDistill.datasets.tokenizer_files import load_tokenizer_files
from OnPolicyDistill.datasets.turn_ends import find_unstopped_turn
from OnPolicyDistill.errors import DatasetError, InputError, ModelError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.answering import answering_stages
from OnPolicyDistill.planning.architectures import architecture_problem
from OnPolicyDistill.planning.check_report import CheckFinding, CheckReport, PromptText
from OnPolicyDistill.planning.disk import DiskNeeds, disk_needs
from OnPolicyDistill.planning.lengths import ruler_of_model
from OnPolicyDistill.planning.model_folders import refuse_unusable_folder
from OnPolicyDistill.planning.models import known_config
from OnPolicyDistill.planning.named_models import fields_at_fault, named_models
from OnPolicyDistill.planning.pair import PairReport, check_pair_by_name
from OnPolicyDistill.planning.positions import position_note
from OnPolicyDistill.planning.rates import endless_warmup
from OnPolicyDistill.planning.saved_adapters import read_adapter_config
from OnPolicyDistill.planning.sight import common_sight
from OnPolicyDistill.planning.targets import PlannedAdapter
from OnPolicyDistill.planning.workload import PromptFacts, Workload, make_workload
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.training import OptimizerSettings

# The disk needs of a run do not depend on its prompts.
NO_PROMPTS = PromptFacts(1, 1, 1, "not needed")
FLOAT_BITS = 16


class Checkup:
    """The findings on one run so far, and what was measured on the way."""

    def __init__(self, config: RunConfig, workspace: Path) -> None:
        self.config = config
        self.workspace = workspace
        self.findings: list[CheckFinding] = []
        self.pair: PairReport | None = None
        self.prompts: LintReport | None = None
        self.validation: LintReport | None = None
        self.teacher_prompt: PromptText | None = None
        self.disk: DiskNeeds | None = None
        self.adapter: PlannedAdapter | None = None

    def needs_file(self, field: str, file: str | None, title: str) -> bool:
        """Whether a setting names a file that is there; a finding says what is missing."""
        if file is None:
            message = f"No {title} is named; a run without it is refused."
            self.add("error", "no_file", field, message, f"Set {field}.")
            return False
        if not is_set(Path(file)):
            self.add("error", "no_file", field, f"There is no {title} {file}.", "Check the path.")
            return False
        return True

    def told(self, field: str, file: Path, lint: Callable[[], LintReport]) -> LintReport | None:
        """Lint a file; what makes it unusable is a finding about the field that names it."""
        try:
            report = lint()
        except (DatasetError, ModelError) as error:
            self.add("error", "no_file", field, error.message, error.action)
            return None
        # What both files have is told with what to type against it.
        broken = [f for f in report.findings if f.severity == "error" and f.code != OVERLAP]
        if broken:
            # A line says more than that none of them can be used.
            first = next((found for found in broken if found.line is not None), broken[0])
            where = f"{file}, line {first.line}" if first.line else str(file)
            message = f"{where}: {first.message}"
            num_lines = sum(found.num_lines for found in broken if found.line is not None)
            if num_lines > 1:
                message += f" {num_lines} lines in all cannot be used."
            self.add("error", first.code, field, message, first.fix)
        return report

    def check_pair(
        self,
        student: str,
        teacher: str,
        block: str,
        wears_another: bool = False,
        key: str = "teacher_model",
    ) -> None:
        """Compare tokenizers and templates of teacher and student by name.

        One model may teach itself where the teacher wears another adapter than the student.
        """
        try:
            self.pair = check_pair_by_name(student, teacher)
        except ModelError as error:
            self.add("error", "model", fields_at_fault(self.config), error.message, error.action)
            return
        if self.pair.verdict == "ok":
            return
        severity: Literal["error", "warning"] = (
            "error" if self.pair.verdict == "mismatch" else "warning"
        )
        for finding in self.pair.findings:
            if wears_another and finding.code == "same_model":
                continue
            if finding.verdict == self.pair.verdict:
                field = f"{block}.student_model"
                fix = "Choose two models of one family and generation."
                self.add(severity, finding.code, field, finding.message, fix)

    def check_served(self, endpoint: TeacherEndpoint, field: str) -> None:
        """Say what leaves the machine, and whether the key is there; nothing is sent yet."""
        if endpoint.leaves_machine:
            message = f"Prompts and completions are sent to {endpoint.base}."
            fix = "Take a teacher that runs on this machine if they must not leave it."
            self.add("warning", "leaves_machine", f"{field}.url", message, fix)
        if endpoint.key_env is not None and not os.environ.get(endpoint.key_env):
            message = f"The variable {endpoint.key_env} is not set, which holds the teacher's key."
            fix = "Set it where the run is started."
            self.add("warning", "no_key", f"{field}.key_env", message, fix)

    def check_turn_end(self, model: str, field: str, learns_answers: bool = False) -> None:
        """Say so where a model that is here does not stop where its template ends a turn.

        A template that leaves answers out is an error where they are learned.
        """
        folder = local_folder(model)
        if folder is None:
            return
        try:
            files = load_tokenizer_files(folder)
            closing = ChatTemplate.load(folder).closing()
        except (ModelError, DatasetError) as error:
            if learns_answers:
                self.add("error", "model", field, error.message, error.action)
            return
        unstopped = find_unstopped_turn(closing, files.end_texts)
        if unstopped is not None:
            message = unstopped.message(model)
            self.add("warning", "turn_without_stop", field, message, unstopped.action)

    def sight_of(self, models: Sequence[str], limits: SightSettings) -> Sight | None:
        """How models read pictures; None where one of them reads words alone."""
        try:
            return common_sight(models, limits)
        except ModelError:
            # The check of the disk says it.
            return None

    def ruler_of(self, model: str, max_tokens: int, sight: Sight | None = None) -> Ruler:
        """Measures texts in a model's tokens, or in characters where the model is not here."""
        try:
            return ruler_of_model(model, max_tokens, sight)
        except ModelError:
            # The check of the disk says it.
            return Ruler(max_prompt_tokens=max_tokens, sight=sight)

    def check_leaked_pictures(self, field: str) -> None:
        """Say so where held-out lines show pictures that are trained on as well."""
        pictures = None if self.validation is None else self.validation.pictures
        if pictures is not None and pictures.num_leaked:
            message = f"{pictures.num_leaked} held-out pictures are trained on as well."
            fix = "Keep a picture on one side, or held-out numbers say less than they seem to."
            self.add("warning", "leaked_picture", field, message, fix)

    def check_architectures(self) -> None:
        """Refuse architectures that do not do what the run asks, from config.json alone."""
        for field, model, asked in named_models(self.config):
            config = known_config(model)
            if config is None:
                continue
            problem = architecture_problem(config, model, asked)
            if problem is not None:
                self.add("error", "architecture", field, problem.message, problem.action)
            note = position_note(config, model)
            if note is not None:
                self.add("warning", "positions", field, note.message, note.action)

    def check_adapter(self, folder: str | None, field: str) -> None:
        """Read the config of an adapter and the header of its weights, where one is named."""
        if folder is None:
            return
        try:
            read_adapter_config(Path(folder))
        except ModelError as error:
            self.add("error", "adapter", field, error.message, error.action)

    def check_rate(self, settings: OptimizerSettings, at_most: int | None = None) -> None:
        """Say so where the warm-up lasts as long as the run; the steps may follow from the rows."""
        if self.prompts is None and settings.num_epochs is not None:
            return
        num_rows = 1 if self.prompts is None else self.prompts.num_prompts
        if at_most is not None:
            num_rows = min(num_rows, at_most)
        warmup = endless_warmup(settings.settled(num_rows))
        if warmup is not None:
            field = f"{FACTS[self.config.method].block}.{warmup.key}"
            self.add("warning", "endless_warmup", field, warmup.message, warmup.fix)

    def check_folders(self) -> None:
        """Look into the folders of the models that are here, as the loaders will."""
        for field, name, _ in named_models(self.config):
            folder = local_folder(name)
            if folder is None:
                continue
            try:
                refuse_unusable_folder(folder)
            except ModelError as error:
                if not any(found.message == error.message for found in self.findings):
                    self.add("error", "model", field, error.message, error.action)

    def check_disk(self) -> None:
        """Compare what is downloaded and written with the room there is."""
        self.check_folders()
        try:
            work = make_workload(self.config, NO_PROMPTS, num_held_out=0)
            answering = [stage.work.student for stage in answering_stages(self.config)]
            self.disk = disk_needs(work, self.workspace, answering)
        except InputError as error:
            # The check of the pair may have said it already.
            if not any(found.code == "model" for found in self.findings):
                self.add(
                    "error", "model", fields_at_fault(self.config), error.message, error.action
                )
            return
        self._check_targets(work)
        self._check_positions(work)
        for need in self.disk.needs:
            if not need.fits:
                message = f"The disk is too full: the run needs {need}."
                self.add("error", "disk", "workspace", message, "Free some space.")
            elif not need.leaves_room:
                message = f"The disk will be nearly full: the run needs {need}."
                fix = "Free some space, or it may be gone before the run has ended."
                self.add("warning", "disk_nearly_full", "workspace", message, fix)

    def _check_positions(self, work: Workload) -> None:
        """Say so where rows are longer than the positions that a model was made for."""
        lints = [report for report in (self.prompts, self.validation) if report is not None]
        longest = max((r.lengths.longest for r in lints if r.lengths.unit == "tokens"), default=0)
        settings, facts = settings_of(self.config).model_dump(), FACTS[self.config.method]
        # Longer ones are left out.
        at_most = settings.get("max_prompt_tokens") or settings.get("max_length") or longest
        row = min(longest, at_most) + work.completion_tokens
        for named in facts.models:
            model = work.student if named.role == "student" else work.teacher
            known = 0 if model is None else model.dimensions.max_positions
            if model is not None and 0 < known < row:
                field = f"{facts.block}.{named.key}"
                message = (
                    f"{model.name} knows {known:,} positions, and the longest prompt with its "
                    f"completion takes {row:,}."
                )
                fix = "Shorten or leave out long prompts (max_prompt_tokens, max_length), or cut "
                fix += "completions sooner: behind its last position a model writes nonsense."
                self.add("warning", "long_positions", field, message, fix)

    def _check_targets(self, work: Workload) -> None:
        """Compare the names that an adapter should go on with what the student has."""
        choice, lora = work.adapter_targets, work.lora
        self.adapter = work.planned_adapter
        field = f"{FACTS[self.config.method].block}.lora"
        if lora is None and work.student.dimensions.bits < FLOAT_BITS:
            message = f"{work.student.name} is quantized, and packed weights cannot learn."
            fix = f"Set {field}, or use the bf16 form of the model."
            self.add("error", "quantized", field, message, fix)
        # An adapter that the run goes on from is on the layers it is on, whatever the names say.
        goes_on = settings_of(self.config).model_dump().get("student_adapter") is not None
        if choice is None or lora is None or self.adapter is None or goes_on:
            return
        # What a folder of an unknown family names may be called otherwise once it is loaded.
        severity: Literal["error", "warning"] = "error" if self.adapter.known_family else "warning"
        for problem in choice.problems:
            targets = f"{field}.targets"
            self.add(severity, "lora_targets", targets, problem.message, problem.action)
        if lora.experts and self.adapter.experts == "none" and self.adapter.known_family:
            message = "The student has no experts, so that there are none to adapt."
            self.add("warning", "no_experts", f"{field}.experts", message, "Set it to false.")

    def add(
        self,
        severity: Literal["error", "warning"],
        code: str,
        field: str,
        message: str,
        fix: str,
    ) -> None:
        """Note a finding."""
        found = CheckFinding(severity=severity, code=code, field=field, message=message, fix=fix)
        self.findings.append(found)

    def report(self) -> CheckReport:
        """Errors first, then warnings, with everything that was measured."""
        severities = {finding.severity for finding in self.findings}
        lints = [report for report in (self.prompts, self.validation) if report is not None]
        odd = "warning" in severities or any(report.num_warnings for report in lints)
        return CheckReport(
            verdict="error" if "error" in severities else "warning" if odd else "ok",
            findings=tuple(_sorted(self.findings)),
            pair=self.pair,
            prompts=self.prompts,
            validation=self.validation,
            teacher_prompt=self.teacher_prompt,
            disk=self.disk,
            adapter=self.adapter,
        )


def _sorted(findings: list[CheckFinding]) -> Iterator[CheckFinding]:
    yield from (finding for finding in findings if finding.severity == "error")
    yield from (finding for finding in findings if finding.severity == "warning")
