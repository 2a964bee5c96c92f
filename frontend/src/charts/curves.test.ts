import { expect, test } from "vitest";
import { alignCurves, type Curve, describeCurve, sampleRows, smoothingOf } from "@/charts/curves";

function curve(part: Partial<Curve>): Curve {
  return {
    id: "divergence",
    label: "Divergence",
    role: "student",
    x: [1, 2, 3],
    mean: [3, 2, 1],
    minimum: [3, 2, 1],
    maximum: [3, 2, 1],
    bucket: 1,
    ...part,
  };
}

test("curves with different steps share one axis and keep gaps", () => {
  const evaluation = curve({ id: "eval", x: [0, 3], mean: [9, 4], sparse: true });
  const [x, line, , , , other] = alignCurves([curve({}), evaluation], 0);
  expect(x).toEqual([0, 1, 2, 3]);
  expect(line).toEqual([null, 3, 2, 1]);
  expect(other).toEqual([9, null, null, 4]);
});

test("the raw line stands behind only when there is smoothing", () => {
  const [, , withoutSmoothing] = alignCurves([curve({})], 0);
  expect(withoutSmoothing).toEqual([null, null, null]);
  const [, , raw] = alignCurves([curve({})], 0.9);
  expect(raw).toEqual([3, 2, 1]);
});

test("a curve is drawn as measured until it is long, and gauges and evaluations always are", () => {
  const steps = (count: number) => Array.from({ length: count }, (_, step) => step);
  const short = curve({ x: steps(199), mean: steps(199) });
  const long = curve({ x: steps(200), mean: steps(200) });
  expect(smoothingOf(short, null)).toBe(0);
  expect(smoothingOf(long, null)).toBeCloseTo(0.6);
  expect(smoothingOf(curve({ x: steps(50), bucket: 4 }), null)).toBeCloseTo(0.6);
  expect(smoothingOf(short, 0.9)).toBe(0.9);
  expect(smoothingOf({ ...long, exact: true }, 0.9)).toBe(0);
  expect(smoothingOf({ ...long, sparse: true }, 0.9)).toBe(0);
  const rate = curve({ mean: [3e-3, 1e-3, 3e-4], exact: true });
  const [, line] = alignCurves([rate], 0.9);
  expect(line?.at(-1)).toBe(3e-4);
});

test("the band of held-out values is their interval, and a screen reader hears it", () => {
  const sure = curve({ low: [2.5, 1.8, 0.6], high: [3.5, 2.2, 1.4], sparse: true });
  const [, , , high, low] = alignCurves([sure], 0);
  expect(high).toEqual([3.5, 2.2, 1.4]);
  expect(low).toEqual([2.5, 1.8, 0.6]);
  expect(describeCurve(sure, String)).toContain("95 % interval at the end: 0.6 to 1.4.");
});

test("a band appears only where a bucket holds several points, so no spike is lost", () => {
  const [, , , high, low] = alignCurves(
    [curve({ bucket: 4, maximum: [9, 2, 1], minimum: [0, 1, 1] })],
    0,
  );
  expect(high).toEqual([9, 2, 1]);
  expect(low).toEqual([0, 1, 1]);
});

test("the spoken summary names both ends and the extremes", () => {
  expect(describeCurve(curve({}), String)).toBe("Divergence fell from 3 to 1, between 1 and 3.");
  expect(describeCurve(curve({ x: [], mean: [] }), String)).toBe("Divergence has no points yet.");
});

test("a table of samples has the first and the last row", () => {
  expect(sampleRows(3, 10)).toEqual([0, 1, 2]);
  expect(sampleRows(101, 5)).toEqual([0, 25, 50, 75, 100]);
});
