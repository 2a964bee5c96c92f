"""`opd check`: whether two models and their prompt files go together, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.data import print_lint_report, ruler_of, tell_pictures
from OnPolicyDistill.cli.output import JsonOption, WorkspaceOption, print_json, print_text
from OnPolicyDistill.cli.plan import AssignmentsOption
from OnPolicyDistill.errors import InputError

if TYPE_CHECKING:
    from OnPolicyDistill.config import RunConfig
    from OnPolicyDistill.datasets.linter import LintReport
    from OnPolicyDistill.planning.check_report import CheckReport
    from OnPolicyDistill.planning.pair import PairReport


def check(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="YAML file or name of a preset.")
    ] = None,
    *,
    student: Annotated[str | None, typer.Option(help="Alias, hub id or folder.")] = None,
    teacher: Annotated[str | None, typer.Option(help="Alias, hub id or folder.")] = None,
    prompts: Annotated[str | None, typer.Option(help="File of training prompts.")] = None,
    validation: Annotated[str | None, typer.Option(help="File of held-out prompts.")] = None,
    assignments: AssignmentsOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Check a config, or just a pair or prompt files; ends with 2 when a run would be refused."""
    from OnPolicyDistill.cli.settings import Given, load_settings
    from OnPolicyDistill.planning.checkup import check_run

    options = {
        "student": student,
        "teacher": teacher,
        "prompts": prompts,
        "validation": validation,
    }
    if config is None:
        _check_parts(student, teacher, [prompts, validation], json)
        return
    report = check_run(load_settings(config, Given(options, assignments or ())), workspace)
    if json:
        print_json(report.model_dump(mode="json"))
    else:
        print_checkup(report)
    if report.verdict == "error":
        raise typer.Exit(2)


def refuse_what_cannot_work(config: RunConfig, workspace: Path) -> list[str]:
    """Check models, files and disk before anything is loaded; returns what should be known.

    Raises:
        ConfigError: something would stop the run; every such thing has its field in `locations`.
    """
    from OnPolicyDistill.errors import ConfigError
    from OnPolicyDistill.planning.checkup import check_run

    findings = check_run(config, workspace).findings
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        first, more = errors[0], len(errors) - 1
        raise ConfigError(
            first.message,
            first.fix + (f" (And {more} more: opd check lists all.)" if more else ""),
            tuple((error.field, error.message) for error in errors),
        )
    return [f"{finding.message} {finding.fix}" for finding in findings]


def print_checkup(report: CheckReport) -> None:
    """Print pair, prompt files, findings and the verdict."""
    from OnPolicyDistill.planning.disk import in_gb

    if report.pair is not None:
        print_pair(report.pair)
    for lint in (report.prompts, report.validation):
        if lint is not None:
            print_lint_report(lint)
    for finding in report.findings:
        print_text(f"{finding.severity}: {finding.field}: {finding.message} {finding.fix}")
    if report.adapter is not None:
        print_text(report.adapter.in_words())
    disk = report.disk
    if disk is not None:
        print_text(f"Disk: {in_gb(disk.download_gb)} to download, {in_gb(disk.run_gb)} to write.")
    words = {
        "ok": "Nothing stands against this run.",
        "warning": "The run can start; the warnings above are worth reading.",
        "error": "The run would be refused.",
    }
    print_text(words[report.verdict])


def print_pair(pair: PairReport) -> None:
    """Print what was compared, and what it means."""
    known = " (from known facts: a model is not on this machine)"
    print_text(
        f"{pair.student} and {pair.teacher}{known if pair.basis == 'registry' else ''}: "
        f"{pair.summary}"
    )
    width = max(len(finding.code) for finding in pair.findings)
    for finding in pair.findings:
        code = finding.code.replace("_", " ")
        print_text(f"  {finding.verdict:<8}  {code:<{width}}  {finding.message}")


def _check_parts(
    student: str | None, teacher: str | None, files: list[str | None], json: bool
) -> None:
    """Check only what was named: a pair, prompt files, or both."""
    pair, lints = _pair_of(student, teacher), _lints_of(student, files)
    models = [] if pair is None else _unusable(student, teacher)
    if pair is None and not lints:
        raise InputError(
            "Nothing to check is named.", "Give a config or preset: opd check default."
        )
    if json:
        print_json(
            {
                "pair": None if pair is None else pair.model_dump(mode="json"),
                "models": models,
                "files": [lint.model_dump(mode="json") for lint in lints],
            }
        )
    else:
        if pair is not None:
            print_pair(pair)
        for problem in models:
            print_text(f"error: {problem}")
        for lint in lints:
            print_lint_report(lint)
    refused = bool(models) or (pair is not None and pair.verdict == "mismatch")
    if refused or any(lint.verdict == "error" for lint in lints):
        raise typer.Exit(2)


def _pair_of(student: str | None, teacher: str | None) -> PairReport | None:
    from OnPolicyDistill.planning.pair import check_pair_by_name

    if student is not None and teacher is not None:
        return check_pair_by_name(student, teacher)
    if teacher is not None:
        raise InputError("A teacher needs a student to be compared with.", "Give --student.")
    return None


def _unusable(*names: str | None) -> list[str]:
    """What keeps models that are here from being loaded, as the loaders will say it."""
    from OnPolicyDistill.errors import ModelError
    from OnPolicyDistill.planning.architectures import architecture_problem
    from OnPolicyDistill.planning.model_folders import refuse_unusable_folder
    from OnPolicyDistill.planning.models import read_config
    from OnPolicyDistill.registry import local_folder

    found = []
    for name, folder in ((name, local_folder(name)) for name in names if name is not None):
        if folder is None:
            continue
        try:
            refuse_unusable_folder(folder)
            problem = architecture_problem(read_config(folder), name)
        except ModelError as error:
            problem = error
        if problem is not None:
            found.append(str(problem))
    return found


def _lints_of(student: str | None, files: list[str | None]) -> list[LintReport]:
    from OnPolicyDistill.datasets.linter import Ruler, lint_prompts
    from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT
    from OnPolicyDistill.registry import local_folder

    # Without a student nobody knows whether pictures are read, so they are looked at.
    named = None if student is None or local_folder(student) is None else student
    ruler = Ruler(sight=DEFAULT_SIGHT) if named is None else ruler_of(named)
    training, held_out = (None if file is None else Path(file) for file in files)
    reports = []
    if training is not None:
        reports.append(lint_prompts(training, None, ruler, tell_pictures))
    if held_out is not None:
        reports.append(lint_prompts(held_out, training, ruler, tell_pictures))
    return reports
