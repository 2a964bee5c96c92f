/** A variant beside the others, from comparisons in pairs. */
import type { PairComparison } from "@/api/evaluations";

/** How much better one variant is than another, in shares, and whether that is shown. */
export interface Lead {
  over: string;
  difference: number;
  low: number;
  high: number;
  isShown: boolean;
}

/** One variant minus each of the others it was compared with. */
export function leadsOf(variant: string, pairs: readonly PairComparison[]): Lead[] {
  return pairs.flatMap(({ first, second, difference, interval, better }) => {
    const isShown = better !== null;
    if (first === variant) {
      return [{ over: second, difference, low: interval.low, high: interval.high, isShown }];
    }
    return second === variant
      ? [
          {
            over: first,
            difference: -difference,
            low: -interval.high,
            high: -interval.low,
            isShown,
          },
        ]
      : [];
  });
}

/** With more pairs than this only those of the chosen variant are listed at first. */
export const MANY_PAIRS = 6;

/** The pairs to list: all of few, of many those with the chosen variant. */
export function pairsAbout(
  variant: string,
  pairs: readonly PairComparison[],
): readonly PairComparison[] {
  const own = pairs.filter(({ first, second }) => first === variant || second === variant);
  return pairs.length <= MANY_PAIRS || own.length === 0 ? pairs : own;
}
