/** The 97.5th percentile of the standard normal distribution. */
const Z_95 = 1.959963984540054;

/**
 * The 95 % score interval of a share that was counted over `count` items.
 *
 * Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
 * JASA 22 (1927), 209-212.
 */
export function wilsonInterval(share: number, count: number): { low: number; high: number } | null {
  if (!(count >= 1)) {
    return null;
  }
  const spread = (Z_95 * Z_95) / count;
  const middle = share + spread / 2;
  const reach = Z_95 * Math.sqrt((share * (1 - share)) / count + spread / (4 * count));
  return {
    low: Math.max((middle - reach) / (1 + spread), 0),
    high: Math.min((middle + reach) / (1 + spread), 1),
  };
}
