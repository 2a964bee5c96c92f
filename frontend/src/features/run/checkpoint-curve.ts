/** Where a checkpoint stands on the curve that decides which one is best. */
import type { Checkpoint, MetricHistory } from "@/api/types";

export interface Point {
  step: number;
  value: number;
  low: number | null;
  high: number | null;
}

/** A place in shares of the picture: 0, 0 is its lower left corner. */
export interface Place {
  x: number;
  y: number;
}

export interface CurvePicture {
  points: Point[];
  /** The ends of the vertical axis. */
  low: number;
  high: number;
  place: (step: number, value: number) => Place;
}

/** The evaluations as points, and where they stand; null before the first one. */
export function pictureOf(history: MetricHistory, lastStep: number): CurvePicture | null {
  const points = history.step.map((step, index) => ({
    step,
    value: history.mean[index] ?? 0,
    low: history.low[index] ?? null,
    high: history.high[index] ?? null,
  }));
  if (points.length === 0) {
    return null;
  }
  const low = Math.min(...points.map((point) => point.low ?? point.value));
  const high = Math.max(...points.map((point) => point.high ?? point.value));
  const first = Math.min(...points.map(({ step }) => step), lastStep);
  const last = Math.max(...points.map(({ step }) => step), lastStep);
  return {
    points,
    low,
    high,
    place: (step, value) => ({
      x: last === first ? 0.5 : (step - first) / (last - first),
      y: high === low ? 0.5 : (value - low) / (high - low),
    }),
  };
}

/** Where a checkpoint stands: on the curve where it was evaluated, else on the axis below. */
export function placeOf(checkpoint: Checkpoint, key: string, picture: CurvePicture): Place {
  const value = checkpoint.metrics?.[key];
  return picture.place(checkpoint.step, value ?? picture.low);
}
