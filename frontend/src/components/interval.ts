/** 95 % intervals of held-out figures, as people read them. */
import { formatNumber, formatPercent } from "@/components/format";

export type Bounds = { low: number; high: number } | null | undefined;

/** "0.064 to 0.177", shares in percent without the sign; nothing where there is no interval. */
export function intervalText(bounds: Bounds, unit = ""): string {
  if (!bounds) {
    return "";
  }
  const text = (value: number) =>
    unit === "share" ? formatPercent(value) : formatNumber(value, 3);
  return `${text(bounds.low)} to ${text(bounds.high)}`;
}

/** A value with its interval behind it in brackets. */
export function withInterval(value: string, bounds: Bounds, unit = ""): string {
  const interval = intervalText(bounds, unit);
  return interval ? `${value} (${interval})` : value;
}
