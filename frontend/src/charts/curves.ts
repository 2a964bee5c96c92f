import { debiasedEma } from "@/charts/ema";

/** Colour and stroke follow what a curve is of, everywhere alike. */
export type CurveRole =
  | "student"
  | "teacher"
  | "base"
  | "evaluation"
  | "shuffled"
  | "blank"
  | "learning"
  | "scoring";

export interface Curve {
  id: string;
  label: string;
  /** A fixed role, or the place (0 to 7) of a run among those compared. */
  role: CurveRole | number;
  /** Rising, one entry a bucket. */
  x: readonly number[];
  mean: readonly number[];
  minimum: readonly number[];
  maximum: readonly number[];
  /** 95 % intervals, one entry a bucket, where all points have one. */
  low?: readonly number[];
  high?: readonly number[];
  /** Points in a bucket. */
  bucket: number;
  /** Sparse points (evaluations) are drawn with dots and never smoothed. */
  sparse?: boolean;
  /** A setting or a gauge, such as a learning rate or memory: drawn as it is, never smoothed. */
  exact?: boolean;
}

export type Column = (number | null)[];

/** Columns that uPlot draws of a curve: smoothed, raw, and the band's two edges. */
export const COLUMNS_PER_CURVE = 4;

/** With fewer points than this every one of them can be seen, and a mean would hide how it went. */
const FEW_POINTS = 200;
const LIGHT_SMOOTHING = 0.6;

/** How much a curve is smoothed: as wished, else lightly where it has many points; 0 is not at all. */
export function smoothingOf(curve: Curve, wished: number | null): number {
  if (curve.sparse || curve.exact) {
    return 0;
  }
  const isShort = curve.x.length * curve.bucket < FEW_POINTS;
  return wished ?? (isShort ? 0 : LIGHT_SMOOTHING);
}

/**
 * One x column for all curves, then four columns a curve; null where a curve has no point. Without
 * a wish each curve is smoothed by its length.
 */
export function alignCurves(
  curves: readonly Curve[],
  smoothing: number | null,
): [number[], ...Column[]] {
  const xs = [...new Set(curves.flatMap((curve) => curve.x))].sort((a, b) => a - b);
  const place = new Map(xs.map((x, index) => [x, index]));
  const columns = curves.flatMap((curve) => {
    const smooth = smoothingOf(curve, smoothing);
    const line = debiasedEma(curve.mean, smooth, curve.bucket);
    const raw = smooth > 0 ? curve.mean : [];
    const [low, high] = bandOf(curve);
    return [line, raw, high, low].map((values) => spread(values, curve.x, place, xs.length));
  });
  return [xs, ...columns];
}

/** What the band around a curve is: its intervals, else the extremes of its buckets. */
function bandOf(curve: Curve): readonly [readonly number[], readonly number[]] {
  if (curve.low && curve.high && curve.low.length > 0) {
    return [curve.low, curve.high];
  }
  return curve.bucket > 1 ? [curve.minimum, curve.maximum] : [[], []];
}

function spread(
  values: readonly (number | null)[],
  x: readonly number[],
  place: ReadonlyMap<number, number>,
  size: number,
): Column {
  const column: Column = new Array<number | null>(size).fill(null);
  values.forEach((value, index) => {
    const at = x[index];
    const row = at === undefined ? undefined : place.get(at);
    if (row !== undefined && value !== null && Number.isFinite(value)) {
      column[row] = value;
    }
  });
  return column;
}

/** What a screen reader says of a curve: from, to, extremes. */
export function describeCurve(curve: Curve, format: (value: number) => string): string {
  const first = curve.mean[0];
  const last = curve.mean.at(-1);
  if (first === undefined || last === undefined) {
    return `${curve.label} has no points yet.`;
  }
  const low = curve.minimum.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = curve.maximum.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const trend = last < first ? "fell" : last > first ? "rose" : "stayed";
  const sure = intervalAt(curve, curve.mean.length - 1);
  const range = sure ? ` 95 % interval at the end: ${format(sure[0])} to ${format(sure[1])}.` : "";
  return `${curve.label} ${trend} from ${format(first)} to ${format(last)}, between ${format(low)} and ${format(high)}.${range}`;
}

/** The interval of a curve's point, null where it has none. */
export function intervalAt(curve: Curve, place: number): readonly [number, number] | null {
  const low = curve.low?.[place];
  const high = curve.high?.[place];
  return low === undefined || high === undefined ? null : [low, high];
}

/** At most `count` rows spread evenly, the last one always among them. */
export function sampleRows(size: number, count: number): number[] {
  if (size <= count) {
    return Array.from({ length: size }, (_, index) => index);
  }
  return Array.from({ length: count }, (_, index) =>
    Math.round((index * (size - 1)) / (count - 1)),
  );
}
