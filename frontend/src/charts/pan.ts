export type Range = readonly [number, number];

/** A range moved by a share of its own width, held inside of the whole. */
export function panned([from, to]: Range, share: number, [first, last]: Range): Range {
  const by = share * (to - from);
  const held = Math.min(Math.max(by, first - from), last - to);
  // A range that reaches beyond the whole on both sides stays where it is.
  return first - from > last - to ? [from, to] : [from + held, to + held];
}
