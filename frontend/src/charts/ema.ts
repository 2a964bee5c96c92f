/** A smoothed curve over buckets of equal point counts. */

/**
 * Debiased exponential moving average: `smoothing` is the weight of the past per point (0 to 1).
 * A bucket stands for `bucketSize` points, so the same smoothing looks the same at every zoom.
 */
export function debiasedEma(
  values: readonly (number | null)[],
  smoothing: number,
  bucketSize = 1,
): (number | null)[] {
  const keep = smoothing ** bucketSize;
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) {
      return null;
    }
    sum = keep * sum + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    return weight > 0 ? sum / weight : value;
  });
}
