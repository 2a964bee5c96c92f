import type uPlot from "uplot";
import { resolveColor, roleColor, roleDash, withAlpha } from "@/charts/colors";
import { COLUMNS_PER_CURVE, type Curve } from "@/charts/curves";
import { type Mark, marksPlugin } from "@/charts/marks";

export interface PlotSettings {
  curves: readonly Curve[];
  width: number;
  height: number;
  log: boolean;
  compact: boolean;
  syncKey: string;
  formatX: (value: number) => string;
  formatY: (value: number) => string;
  marks: () => readonly Mark[];
  range: () => readonly [number, number] | null;
  onCursor: (index: number | null) => void;
  onSelect: (from: number, to: number) => void;
}

const WHOLE_INCREMENTS = Array.from({ length: 12 }, (_, power) =>
  [1, 2, 5].map((digit) => digit * 10 ** power),
).flat();
const AXIS_FONT = '11px "Inter Variable", system-ui, sans-serif';

export function plotOptions(settings: PlotSettings): uPlot.Options {
  const { curves, width, height, log } = settings;
  return {
    width,
    height,
    legend: { show: false },
    padding: [8, 20, 0, 0],
    scales: {
      x: { time: false, range: (_, low, high) => xRange(settings.range(), low, high) },
      y: log ? { distr: 3 } : { range: yRange },
    },
    axes: axes(settings),
    series: [{}, ...curves.flatMap(seriesOfCurve)],
    bands: curves.map((curve, index) => ({
      series: [index * COLUMNS_PER_CURVE + 3, index * COLUMNS_PER_CURVE + 4],
      fill: withAlpha(roleColor(curve.role), 16),
    })),
    cursor: {
      sync: { key: settings.syncKey, scales: ["x", null] },
      drag: { x: true, y: false, setScale: false, dist: 4 },
      points: { show: (_, index) => cursorPoint(index) },
    },
    plugins: [marksPlugin(settings.marks)],
    hooks: {
      setCursor: [(plot) => settings.onCursor(plot.cursor.idx ?? null)],
      setSelect: [(plot) => selected(plot, settings)],
    },
  };
}

function xRange(
  wanted: readonly [number, number] | null,
  low: number,
  high: number,
): [number, number] {
  if (wanted) {
    return [wanted[0], wanted[1]];
  }
  return low === high ? [low, low + 1] : [low, high];
}

/** A little air above and below; a flat line stands in the middle. */
function yRange(_: uPlot, low: number, high: number): [number, number] {
  if (low === null || high === null) {
    return [0, 1];
  }
  // Rounding of a smoothed constant is not worth a scale of its own.
  const isFlat = high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high));
  const air = isFlat ? Math.abs(high) * 0.1 || 1 : (high - low) * 0.06;
  const floor = low >= 0 && low - air < 0 ? 0 : low - air;
  return [floor, high + air];
}

function axes({ compact, formatX, formatY }: PlotSettings): uPlot.Axis[] {
  const ink = resolveColor("var(--color-faint)");
  const grid = { stroke: resolveColor("var(--color-line)"), width: 1 };
  const shared = { stroke: ink, font: AXIS_FONT, ticks: { show: false }, gap: 6 };
  return [
    {
      ...shared,
      size: 24,
      space: compact ? 72 : 88,
      grid: { show: false },
      border: { show: true, stroke: grid.stroke, width: 1 },
      // Steps, tokens and seconds alike are read in whole numbers.
      incrs: WHOLE_INCREMENTS,
      values: (_, splits) => splits.map(formatX),
    },
    {
      ...shared,
      size: 48,
      space: compact ? 28 : 36,
      grid,
      values: (_, splits) => splits.map((value) => (value === null ? "" : formatY(value))),
    },
  ];
}

function seriesOfCurve(curve: Curve): uPlot.Series[] {
  const color = roleColor(curve.role);
  const hidden = { width: 0, points: { show: false }, spanGaps: true };
  return [
    {
      label: curve.label,
      stroke: resolveColor(color),
      width: 1.5,
      dash: roleDash(curve.role),
      spanGaps: true,
      points: { show: curve.sparse ?? false, size: 5, fill: resolveColor(color) },
    },
    { stroke: withAlpha(color, 28), width: 1, spanGaps: true, points: { show: false } },
    hidden,
    hidden,
  ];
}

/** Only the smoothed line of a curve gets a point under the cursor. */
function cursorPoint(index: number): HTMLElement {
  const point = document.createElement("div");
  point.className = (index - 1) % COLUMNS_PER_CURVE === 0 ? "u-cursor-pt" : "u-off";
  return point;
}

function selected(plot: uPlot, settings: PlotSettings): void {
  const { left, width } = plot.select;
  if (width > 4) {
    settings.onSelect(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }
}
