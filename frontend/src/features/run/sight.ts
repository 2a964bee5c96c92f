/** Whether a student looks at its pictures, as far as two controls can tell. */
import type { MetricSummary } from "@/api/types";

export type Looking = "looks" | "unsure";

type Measured = Pick<MetricSummary, "after_interval"> | undefined;

/**
 * It looks where the interval of its accuracy lies above those of all controls. Nothing is said
 * where something was not measured, or on too few prompts for an interval.
 */
export function lookingOf(accuracy: Measured, ...controls: readonly Measured[]): Looking | null {
  const own = accuracy?.after_interval;
  const others = controls.flatMap((control) => control?.after_interval ?? []);
  if (!own || others.length === 0 || others.length < controls.length) {
    return null;
  }
  return others.every(({ high }) => high < own.low) ? "looks" : "unsure";
}
