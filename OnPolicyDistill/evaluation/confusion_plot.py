"""Confusions as heat maps: gold labels down, answers across, the share of each row as its shade.

Shades run from white to dark blue, and every cell that is not 0 has its count in it, so that a
copy in grey reads the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from OnPolicyDistill.evaluation.labelled_report import ClassificationReport
from OnPolicyDistill.files import disk_errors

COLUMNS = 2
CELL_INCHES = 0.36
LEAST_INCHES = 3.2
MAX_LABELS = 60
DARK_FROM = 0.55  # above it a shade needs white figures
INK, MUTED = "#212529", "#6c757d"
SHADES = "Blues"


def plot_confusions(reports: Sequence[ClassificationReport], path: Path) -> None:
    """Draw a heat map for each report that has graded items into a PNG file."""
    shown = [report for report in reports if report.num_graded]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    num_labels = max(min(len(report.labels), MAX_LABELS) for report in shown)
    side = max(LEAST_INCHES, CELL_INCHES * (num_labels + 1)) + 1.2
    with rc_context({"font.size": 8, "text.color": INK}):
        figure = Figure(figsize=(side * columns, side * rows), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False).flat
        for axes, report in zip(panels, shown, strict=False):
            _draw(axes, report)
        for axes in list(figure.axes)[len(shown) :]:
            axes.set_axis_off()
        with disk_errors(path):
            figure.savefig(path, dpi=144)


def _draw(axes: Axes, report: ClassificationReport) -> None:
    labels = report.labels[:MAX_LABELS]
    columns = [*range(len(labels)), len(report.labels)]
    counts = np.array(report.confusion)[: len(labels)][:, columns]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="equal")
    for row, column in zip(*np.nonzero(counts), strict=True):
        is_dark = shares[row, column] > DARK_FROM
        axes.text(
            float(column),
            float(row),
            str(counts[row, column]),
            ha="center",
            va="center",
            color="white" if is_dark else INK,
        )
    axes.set_xticks(range(len(columns)), [*labels, "unparseable"], rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("answered")
    axes.set_ylabel("gold")
    axes.axvline(len(labels) - 0.5, color=MUTED, linewidth=1)
    axes.tick_params(length=0, colors=MUTED)
    accuracy = "" if report.accuracy is None else f"   {100 * report.accuracy:.1f} % right"
    axes.set_title(f"{report.name}{accuracy}", loc="left", fontsize=10)
