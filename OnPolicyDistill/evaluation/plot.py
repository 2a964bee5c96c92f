"""The report's plot: learning, held-out divergence, agreement with the teacher, time.

Colours follow the role everywhere: the student in the accent, the teacher in amber, the student
before training in grey dashes; what is held out is dashed with a mark at each evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from OnPolicyDistill.files import disk_errors
from OnPolicyDistill.runs.history import RunHistory

STUDENT = "#3b5bdb"
STUDENT_LIGHT = "#bac8ff"
STUDENT_SECOND = "#7048e8"
TEACHER = "#d97706"
BASE = "#868e96"
INK = "#212529"
MUTED = "#6c757d"
LINE = "#e9ecef"
HELD_OUT = (
    ("eval_reverse_kl", "reverse KL (student || teacher)", STUDENT),
    ("eval_off_policy_reverse_kl", "reverse KL, off-policy", STUDENT),
    ("eval_forward_kl", "forward KL (teacher || student)", STUDENT_SECOND),
    ("eval_off_policy_forward_kl", "forward KL, off-policy", STUDENT_SECOND),
    ("eval_loss", "held-out loss", STUDENT),
)
# What the training curve is of, with its title and unit: the first that a run measures.
LEARNING = {
    "reward": ("Reward of rollouts", ""),
    "divergence": ("Divergence on rollouts", "nats / token"),
    "loss": ("Training loss", "nats / token"),
}
AGREEMENT = (
    ("eval_agreement", "agreement", STUDENT),
    ("eval_off_policy_agreement", "agreement, off-policy", STUDENT),
    ("eval_top5_agreement", "top-5 agreement", STUDENT_SECOND),
    ("eval_off_policy_top5_agreement", "top-5 agreement, off-policy", STUDENT_SECOND),
    ("eval_accuracy", "task accuracy", "#099268"),
)
PHASE_COLOURS = {
    "sampling": STUDENT,
    "scoring": TEACHER,
    "grading": "#ffd43b",
    "learning": STUDENT_SECOND,
    "loading": "#adb5bd",
    "generating": "#ffa94d",
    "evaluating": "#91a7ff",
    "other": "#ced4da",
}


def _styled() -> AbstractContextManager[None]:
    return rc_context(
        {
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.edgecolor": LINE,
            "axes.labelcolor": MUTED,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": LINE,
            "grid.linewidth": 0.8,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "legend.framealpha": 0.85,
            "legend.edgecolor": "none",
            "legend.fancybox": False,
            "legend.labelcolor": INK,
            "text.color": INK,
            "svg.fonttype": "none",
            "svg.hashsalt": "OnPolicyDistill",
        }
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: steps, values, and their intervals where all of them have one."""

    steps: tuple[int, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()


def plot_history(history: RunHistory, title: str, path: Path) -> None:
    """Draw a run into a PNG or SVG file, by the file's ending."""
    panels = _panels(history)
    with _styled():
        columns = 2 if len(panels) == 4 else len(panels)
        rows = -(-len(panels) // columns)
        figure = Figure(
            figsize=(5.2 * columns, 3.2 * rows),
            layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12),
        )
        FigureCanvasAgg(figure)
        figure.suptitle(title, x=0.012, ha="left", color=MUTED, fontsize=9)
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, panel in zip(grid, panels, strict=False):
            panel(axes, history)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        with disk_errors(path):
            figure.savefig(path, dpi=160, facecolor="white", metadata=metadata)


def smoothing_weight(num_values: int) -> float:
    """How much of the past a smoothed curve keeps: more, the longer the curve."""
    return 1 - 1 / (1 + min(num_values / 15, 50))


def smooth(values: Sequence[float], weight: float) -> tuple[float, ...]:
    """Exponential moving average without the pull of its start: the first value is itself."""
    average, total = 0.0, 0.0
    smoothed = []
    for value in values:
        average = weight * average + (1 - weight) * value
        total = weight * total + (1 - weight)
        smoothed.append(average / total)
    return tuple(smoothed)


Panel = Callable[[Axes, RunHistory], None]


def _panels(history: RunHistory) -> list[Panel]:
    panels: list[Panel] = [_draw_learning]
    if any(_evaluation(history, key) for key, _, _ in HELD_OUT):
        panels.append(_draw_held_out)
    if any(_evaluation(history, key) for key, _, _ in AGREEMENT):
        panels.append(_draw_agreement)
    panels.append(_draw_time)
    return panels


def _draw_learning(axes: Axes, history: RunHistory) -> None:
    measured = {key for step in history.steps for key in step.metrics}
    key = next((key for key in LEARNING if key in measured), "loss")
    curve = _training(history, key)
    _prepare(axes, *LEARNING[key])
    if curve is None:
        axes.text(0.5, 0.5, "no step yet", transform=axes.transAxes, ha="center", color=MUTED)
        return
    axes.plot(curve.steps, curve.values, color=STUDENT_LIGHT, linewidth=0.9, label="each step")
    smoothed = smooth(curve.values, smoothing_weight(len(curve.values)))
    axes.plot(curve.steps, smoothed, color=STUDENT, linewidth=1.8, label="smoothed")
    _mark_resumes(axes, history)
    axes.set_ylim(bottom=min(0.0, *curve.values))
    axes.legend(loc="lower right" if key == "reward" else "upper right")


def _draw_held_out(axes: Axes, history: RunHistory) -> None:
    drawn = [
        (curve, label, colour)
        for key, label, colour in HELD_OUT
        if (curve := _evaluation(history, key)) is not None
    ]
    has_loss = _evaluation(history, "eval_loss") is not None
    title = "Held-out loss" if has_loss else "Held-out divergence"
    _prepare(axes, f"{title}, 95 % intervals" if drawn[0][0].lows else title, "nats / token")
    for curve, label, colour in drawn:
        _draw_evaluation(axes, curve, label, colour)
    axes.axhline(
        drawn[0][0].values[0], color=BASE, linestyle="--", linewidth=1, label="before training"
    )
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _draw_agreement(axes: Axes, history: RunHistory) -> None:
    _prepare(axes, "Held-out agreement and accuracy", "%")
    for key, label, colour in AGREEMENT:
        _draw_evaluation(axes, _percent(_evaluation(history, key)), label, colour)
    teacher = _percent(_evaluation(history, "eval_teacher_accuracy"))
    if teacher is not None:
        axes.axhline(teacher.values[-1], color=TEACHER, linewidth=1.4, label="teacher's accuracy")
    before = _percent(_evaluation(history, "eval_accuracy"))
    if before is not None:
        axes.axhline(
            before.values[0],
            color=BASE,
            linestyle="--",
            linewidth=1,
            label="accuracy before training",
        )
    axes.set_ylim(0, 104)
    axes.legend(loc="lower right")


def _draw_time(axes: Axes, history: RunHistory) -> None:
    shares = history.time_split()
    total = sum(share.seconds for share in shares) or 1.0
    _prepare(axes, "Where the time went", "")
    axes.set_xlabel("seconds")
    axes.xaxis.set_major_locator(MaxNLocator())
    axes.grid(visible=False, axis="y")
    names = [share.name for share in shares]
    seconds = [share.seconds for share in shares]
    bars = axes.barh(names, seconds, color=[PHASE_COLOURS[name] for name in names], height=0.6)
    labels = [f" {100 * value / total:.0f} %" for value in seconds]
    axes.bar_label(bars, labels=labels, color=INK)
    axes.invert_yaxis()
    axes.margins(x=0.15)


def _draw_evaluation(axes: Axes, curve: Curve | None, label: str, colour: str) -> None:
    if curve is not None:
        if curve.lows:
            axes.fill_between(
                curve.steps, curve.lows, curve.highs, color=colour, alpha=0.13, linewidth=0
            )
        axes.plot(
            curve.steps,
            curve.values,
            color=colour,
            linestyle="--",
            linewidth=1.5,
            marker="o",
            markersize=3,
            label=label,
        )


def _prepare(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontweight="bold", color=INK)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(unit)
    axes.tick_params(length=0)


def _mark_resumes(axes: Axes, history: RunHistory) -> None:
    for index, step in enumerate(sorted(set(history.resumed_at))):
        label = None if index else "resumed"
        axes.axvline(step, color=BASE, linestyle=":", linewidth=1, label=label)


def _training(history: RunHistory, key: str) -> Curve | None:
    points = [(step.step, step.metrics[key]) for step in history.steps if key in step.metrics]
    return _curve(points)


def _evaluation(history: RunHistory, key: str) -> Curve | None:
    found = [event for event in history.evaluations if key in event.metrics]
    curve = _curve([(event.step, event.metrics[key]) for event in found])
    if curve is None or any(key not in event.intervals for event in found):
        return curve
    lows, highs = zip(*(event.intervals[key] for event in found), strict=True)
    return Curve(curve.steps, curve.values, lows, highs)


def _curve(points: Sequence[tuple[int, float]]) -> Curve | None:
    if not points:
        return None
    return Curve(tuple(step for step, _ in points), tuple(value for _, value in points))


def _percent(curve: Curve | None) -> Curve | None:
    if curve is None:
        return None
    scaled = (
        tuple(100 * value for value in part) for part in (curve.values, curve.lows, curve.highs)
    )
    return Curve(curve.steps, *scaled)
