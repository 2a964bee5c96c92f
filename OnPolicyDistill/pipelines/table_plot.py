"""The final table as a picture: accuracies with their intervals, and what rules reach beside them.

Those that are as good as the best within the interval are dark; a copy in grey reads the same.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from OnPolicyDistill.files import disk_errors
from OnPolicyDistill.pipelines.table import PipelineTable
from OnPolicyDistill.pipelines.table_text import verdict

INK, MUTED = "#212529", "#6c757d"
AS_GOOD, BEHIND = "#1c4e80", "#a8c5e2"
RULE_STYLES = ("--", ":", "-.")
ROW_INCHES = 0.42
MARGIN_INCHES = 1.7


def plot_table(table: PipelineTable, path: Path) -> None:
    """Draw the accuracies into a PNG file."""
    height = MARGIN_INCHES + ROW_INCHES * len(table.variants)
    with rc_context({"font.size": 9, "text.color": INK, "axes.labelcolor": INK}):
        figure = Figure(figsize=(8.0, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _draw_variants(axes, table)
        _draw_rules(figure, axes, table)
        axes.set_title(f"{table.name}: {table.num_items} held-out items", loc="left", fontsize=10)
        axes.set_xlabel(f"right answers, % (95 % interval)\n{verdict(table)}", color=MUTED)
        with disk_errors(path):
            figure.savefig(path, dpi=144)


def _draw_variants(axes: Axes, table: PipelineTable) -> None:
    places = range(len(table.variants))
    shares = [100 * row.accuracy for row in table.variants]
    # At 0 and at 1 an end of the interval is the share itself but for rounding.
    below = [max(100 * (row.accuracy - row.interval.low), 0.0) for row in table.variants]
    above = [max(100 * (row.interval.high - row.accuracy), 0.0) for row in table.variants]
    colours = [AS_GOOD if row.is_as_good_as_best else BEHIND for row in table.variants]
    axes.barh(places, shares, color=colours, height=0.6)
    axes.errorbar(
        shares, places, xerr=(below, above), fmt="none", ecolor=INK, elinewidth=1, capsize=3
    )
    for place, row in zip(places, table.variants, strict=True):
        said = f"{100 * row.accuracy:.1f} %"
        axes.text(100 * row.interval.high + 1, place, said, va="center", fontsize=8)
    axes.set_yticks(places, [row.name for row in table.variants])
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.tick_params(length=0, colors=MUTED)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_rules(figure: Figure, axes: Axes, table: PipelineTable) -> None:
    for style, one in zip(RULE_STYLES, table.baselines, strict=False):
        label = f"rule: {one.rule} {100 * one.accuracy:.1f} %"
        axes.axvline(100 * one.accuracy, color=MUTED, linestyle=style, linewidth=1, label=label)
    if table.baselines:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
