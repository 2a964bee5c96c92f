import type { EventOf, Metric, MetricHistory } from "@/api/types";
import type { Curve, CurveRole } from "@/charts/curves";

export type XAxis = "step" | "time" | "tokens";

/** A zoom in the units of the axis, and the steps it covers for the server. */
export interface Zoom {
  x: readonly [number, number];
  steps: readonly [number, number];
}

/** The fetched buckets and, behind them, the steps that came by stream since. */
export function withTail(
  history: MetricHistory,
  steps: readonly EventOf<"step_finished">[],
): MetricHistory {
  const last = history.step.at(-1) ?? -1;
  const fresh = steps.filter((event) => event.step > last && history.key in event.metrics);
  if (fresh.length === 0) {
    return history;
  }
  let total = history.tokens.at(-1) ?? 0;
  const tokens = fresh.map((event) => {
    total += event.metrics["num_tokens"] ?? 0;
    return total;
  });
  const values = fresh.map((event) => event.metrics[history.key] ?? 0);
  return {
    ...history,
    num_points: history.num_points + fresh.length,
    step: [...history.step, ...fresh.map((event) => event.step)],
    time: [...history.time, ...fresh.map((event) => event.time)],
    tokens: [...history.tokens, ...tokens],
    minimum: [...history.minimum, ...values],
    maximum: [...history.maximum, ...values],
    mean: [...history.mean, ...values],
  };
}

export function xOf(history: MetricHistory, axis: XAxis, startTime: number): number[] {
  if (axis === "step") {
    return history.step;
  }
  return axis === "tokens" ? history.tokens : history.time.map((time) => time - startTime);
}

interface CurveSettings {
  label: string;
  role: CurveRole | number;
  axis: XAxis;
  startTime: number;
  sparse?: boolean;
  exact?: boolean;
}

/** What is set or read off rather than sampled: smoothed, it would show values that never were. */
export function isExact(metric: Metric | undefined): boolean {
  return metric?.key === "learning_rate" || metric?.group === "memory" || metric?.group === "cache";
}

export function curveOf(history: MetricHistory, settings: CurveSettings): Curve {
  return {
    id: `${history.key} ${settings.label}`,
    label: settings.label,
    role: settings.role,
    x: xOf(history, settings.axis, settings.startTime),
    mean: history.mean,
    minimum: history.minimum,
    maximum: history.maximum,
    bucket: history.bucket,
    low: history.low,
    high: history.high,
    sparse: settings.sparse ?? false,
    exact: settings.exact ?? false,
  };
}

/** The steps between two positions on the axis, one step of air on each side. */
export function zoomTo(
  history: MetricHistory,
  axis: XAxis,
  startTime: number,
  [from, to]: readonly [number, number],
): Zoom {
  if (axis === "step") {
    return { x: [from, to], steps: [Math.max(0, Math.floor(from)), Math.ceil(to)] };
  }
  const xs = xOf(history, axis, startTime);
  const first = xs.findIndex((x) => x >= from);
  const last = xs.findLastIndex((x) => x <= to);
  return {
    x: [from, to],
    steps: [
      history.step[Math.max(first - 1, 0)] ?? 0,
      history.step[last + 1] ?? history.step.at(-1) ?? 0,
    ],
  };
}
