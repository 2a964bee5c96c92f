"""The final report of a run: what was learned, what it cost, as text and as a plot.

It reads the run's folder only, so it can be made again at any time, for any state of a run.
"""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.config import num_steps_of, settings_of
from OnPolicyDistill.evaluation.asked_text import describe_asked
from OnPolicyDistill.evaluation.labelled_report import (
    FOLDER,
    EvaluationReport,
    read_report,
)
from OnPolicyDistill.evaluation.labelled_report import REPORT as LABELLED_REPORT
from OnPolicyDistill.evaluation.labelled_text import describe_evaluation
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.runs.called import called_and_id
from OnPolicyDistill.runs.checkpoints import pointed
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished, RunFailed, RunFinished, RunPaused
from OnPolicyDistill.runs.history import RunHistory, fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.metrics import METRICS, Metric
from OnPolicyDistill.runs.wording import (
    CHOSEN_ON_SAME,
    describe_intervals,
    describe_models,
    format_change,
    format_interval,
    format_metric,
    format_seconds,
    tabulate_teachers,
)

REPORT_TEXT = "report.txt"
REPORT_IMAGES = ("report.png", "report.svg")

HELD_OUT = (
    "eval_loss",
    "eval_shuffled_loss",
    "eval_reverse_kl",
    "eval_off_policy_reverse_kl",
    "eval_reverse_kl_bound",
    "eval_forward_kl",
    "eval_off_policy_forward_kl",
    "eval_forward_kl_bound",
    "eval_agreement",
    "eval_off_policy_agreement",
    "eval_top5_agreement",
    "eval_off_policy_top5_agreement",
    "eval_accuracy",
    "eval_accuracy_tolerant",
    "eval_accuracy_blank",
    "eval_accuracy_shuffled",
    "eval_closed_thoughts",
    "eval_reward",
    "eval_student_entropy",
    "eval_off_policy_student_entropy",
    "eval_completion_tokens",
    "eval_truncated_share",
)
# What the teacher itself reaches, beside the student's metric.
TEACHERS_OWN = {
    "eval_accuracy": "eval_teacher_accuracy",
    "eval_student_entropy": "eval_teacher_entropy",
    "eval_off_policy_student_entropy": "eval_off_policy_teacher_entropy",
}
BAR_WIDTH = 24


def write_report(run: RunDirectory) -> str:
    """Write report.txt, report.png and report.svg into the run's folder; returns the text."""
    history = fold(read_events(run.events_file))
    text = describe_run(run, history)
    write_text_atomically(run.path / REPORT_TEXT, text)
    title = "   ".join(text.splitlines()[:3])
    for name in REPORT_IMAGES:
        _draw(run, history, title, run.path / name)
    return text


def _draw(run: RunDirectory, history: RunHistory, title: str, file: Path) -> None:
    """Draw what was learned; of an evaluation, which learns nothing, what was confused."""
    # Here and not above: matplotlib takes a third of a second, which a run pays at its end only.
    from OnPolicyDistill.evaluation.confusion_plot import plot_confusions  # noqa: PLC0415
    from OnPolicyDistill.evaluation.plot import plot_history  # noqa: PLC0415

    labelled = _labelled_report(run)
    if labelled is None or run.config().method != "evaluation":
        plot_history(history, title, file)
    elif any(variant.num_graded for variant in labelled.variants):
        plot_confusions(labelled.variants, file)


def report_files(run: RunDirectory) -> list[Path]:
    """The files that a report consists of, where they exist."""
    names = (REPORT_TEXT, *REPORT_IMAGES)
    return [run.path / name for name in names if (run.path / name).is_file()]


def describe_run(run: RunDirectory, history: RunHistory) -> str:
    """The report as text."""
    is_evaluation = run.config().method == "evaluation"
    sections = (
        _head(run, history),
        [] if is_evaluation else _held_out(history),
        _by_teacher(history),
        _labelled(run),
        describe_asked(history.end.report) if isinstance(history.end, RunFinished) else [],
        _time(history),
        _proof(history),
        _checkpoints(run, history),
        _warnings(history),
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _head(run: RunDirectory, history: RunHistory) -> list[str]:
    config = run.config()
    settings = settings_of(config)
    done = history.steps[-1].step if history.steps else 0
    lines = [
        f"Run {called_and_id(run)}",
        describe_models(settings),
        f"{done:,} of {history.num_steps or num_steps_of(config):,} steps, {_ending(history)}",
    ]
    if history.started is not None:
        machine = history.started.machine
        lines.append(
            f"{machine.platform}, {machine.processor}, {machine.memory_gb:.0f} GB, "
            f"mlx {machine.mlx}, mlx-lm {machine.mlx_lm}"
        )
    return lines


def _ending(history: RunHistory) -> str:
    match history.end:
        case RunFinished(because="completed"):
            ending = "completed"
        case RunFinished(because="plateau"):
            ending = "ended early: no more improvement"
        case RunFinished():
            ending = "ended by the user"
        case RunPaused():
            ending = "paused"
        case RunFailed(message=message):
            ending = f"failed: {message}"
        case None:
            ending = "not ended"
    resumed = len(history.resumed_at)
    return ending + (f", resumed {resumed} time{'s' * (resumed > 1)}" if resumed else "")


def _held_out(history: RunHistory) -> list[str]:
    after = history.after
    if after is None:
        return ["No evaluation on held-out data."]
    columns = {"before": history.before, "after": after}
    if history.last is not after:
        columns["last"] = history.last
    header = ["Held out", *columns, "change", "teacher"]
    rows = [header]
    for key in HELD_OUT:
        if key in after.metrics:
            rows.append(_row(METRICS[key], columns, history.latest(TEACHERS_OWN.get(key, ""))))
            teachers = history.latest_interval(TEACHERS_OWN.get(key, ""))
            rows += _interval_row(key, columns, teachers)
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    steps = ", ".join(f"{name}: step {event.step}" for name, event in columns.items() if event)
    exported = "; what is exported is that of after" if len(columns) > 2 else ""
    return [*_align(rows), f"({steps}{exported})", *_caveats(history), *_gap_closed(history)]


def _by_teacher(history: RunHistory) -> list[str]:
    """The best checkpoint's figures on each teacher's prompts, where a run has several."""
    shown = history.best or history.after
    if shown is None or not shown.by_teacher:
        return []
    title = f"By teacher, at step {shown.step}"
    return [title, *_align(tabulate_teachers(shown.by_teacher))]


def _interval_row(
    key: str, columns: dict[str, EvaluationFinished | None], teachers: tuple[float, float] | None
) -> list[list[str]]:
    """A row of intervals below a row of values, where there are any."""
    found = [event and event.intervals.get(key) for event in columns.values()]
    if not any(found):
        return []
    *students, teacher = (format_interval(key, one) if one else "" for one in (*found, teachers))
    return [["", *students, "", teacher]]


def _caveats(history: RunHistory) -> list[str]:
    """Over what the intervals are, and what `best` owes to having been chosen."""
    after, lines = history.after, []
    if after is not None and describe_intervals(after):
        lines.append(f"Second lines: {describe_intervals(after)}")
    if history.best is not None and len(history.evaluations) > 1:
        lines.append(CHOSEN_ON_SAME)
    return lines


def _labelled(run: RunDirectory) -> list[str]:
    """What variants answered to labelled items, where the run let them."""
    report = _labelled_report(run)
    return [] if report is None else describe_evaluation(report).splitlines()


def _labelled_report(run: RunDirectory) -> EvaluationReport | None:
    file = run.path / FOLDER / LABELLED_REPORT
    return read_report(file) if file.is_file() else None


def _row(
    metric: Metric, columns: dict[str, EvaluationFinished | None], teacher: float | None
) -> list[str]:
    values = {
        name: event.metrics.get(metric.key) if event else None for name, event in columns.items()
    }
    before, after = values["before"], values["after"]
    change = "" if before is None or after is None else format_change(metric.key, before, after)
    title = metric.title + (f" ({metric.unit})" if metric.unit not in ("", "share") else "")
    return [
        title,
        *("" if value is None else format_metric(metric.key, value) for value in values.values()),
        change,
        "" if teacher is None else format_metric(metric.key, teacher),
    ]


def _gap_closed(history: RunHistory) -> list[str]:
    """How much of the way from student to teacher the task accuracy went."""
    if history.before is None or history.after is None:
        return []
    before = history.before.metrics.get("eval_accuracy")
    after = history.after.metrics.get("eval_accuracy")
    teacher = history.latest("eval_teacher_accuracy")
    if before is None or after is None or teacher is None or teacher <= before:
        return []
    closed = (after - before) / (teacher - before)
    return [f"Task accuracy went {100 * closed:.0f} % of the way from the student to the teacher."]


def _time(history: RunHistory) -> list[str]:
    shares = history.time_split()
    total = sum(share.seconds for share in shares)
    if not total:
        return []
    rows = [
        [
            share.name,
            format_seconds(share.seconds),
            f"{100 * share.seconds / total:.0f} %",
            "█" * round(BAR_WIDTH * share.seconds / total),
        ]
        for share in shares
    ]
    tokens = history.total("num_tokens")
    lines = [f"Time: {format_seconds(history.active_seconds)}", *_align(rows, left=(0, 3))]
    stepping = history.total("step_seconds")
    if tokens and stepping:
        lines.append(f"{tokens:,.0f} tokens learned from, {tokens / stepping:,.1f} a second")
    return lines


def _proof(history: RunHistory) -> list[str]:
    test = history.self_test
    if test is None:
        return []
    verdict = "passed" if test.passed else "FAILED"
    passed = sum(check.passed for check in test.checks)
    lines = [f"Proof of learning: {verdict}, {passed} of {len(test.checks)} checks"]
    for check in test.checks:
        mark = "ok  " if check.passed else "FAIL"
        claim = check.claim.rstrip(".")
        lines.append(f"  {mark}  {claim}: {check.measured_in_words}, {check.limit_in_words}")
    return lines


def _checkpoints(run: RunDirectory, history: RunHistory) -> list[str]:
    if not history.checkpoints:
        return []
    best, last = pointed(run, "best"), pointed(run, "last")
    lines = ["Checkpoints"]
    lines += [
        f"  {name:<5} checkpoints/{path.name}"
        for name, path in (("best", best), ("last", last))
        if path is not None
    ]
    return lines


def _warnings(history: RunHistory) -> list[str]:
    if not history.warnings:
        return []
    lines = ["Warnings"]
    for warning in history.warnings:
        lines.append(f"  step {warning.step}: {warning.message} {warning.action}".rstrip())
    return lines


def _align(rows: list[list[str]], left: tuple[int, ...] = (0,)) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
