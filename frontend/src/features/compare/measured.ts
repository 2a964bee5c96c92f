/** What of compared runs was measured, and whether it may be compared at all. */
import type { Comparison, KindFacts } from "@/api/types";
import { formatNumber, formatPercent } from "@/components/format";
import type { KeyName } from "@/features/runs/key-names";

export type ComparedMetric = Comparison["metrics"][number];

/** The metrics that some run measured: those on held-out data, and those of training. */
export function parted(data: Comparison): readonly [ComparedMetric[], ComparedMetric[]] {
  const measured = data.metrics.filter((metric) => metric.values.some(Boolean));
  const isHeldOut = ({ key }: ComparedMetric) => key.startsWith("eval_");
  return [measured.filter(isHeldOut), measured.filter((metric) => !isHeldOut(metric))];
}

export function valueText(value: number | undefined, unit: string): string {
  return unit === "share" ? formatPercent(value) : formatNumber(value);
}

/** A setting's value in words. */
export function settingText(key: string, value: unknown, kinds: readonly KindFacts[]): string {
  if (typeof value === "boolean") {
    return value ? "yes" : "no";
  }
  return (key === "method" && kinds.find(({ name }) => name === value)?.title) || String(value);
}

/** The unit behind a title, unless the title says it already. */
export function unitOf({ title, unit }: ComparedMetric): string {
  if (unit === "share") {
    return "%";
  }
  const words = title.toLowerCase().split(/[^\p{L}\p{N}]+/u);
  return words.includes(unit.toLowerCase()) ? "" : unit;
}

const HELD_OUT = [
  "validation_prompts",
  "eval_prompts",
  "eval_fraction",
  "max_generation_tokens",
  "keep_teacher_loaded",
  "seed",
  "validation_conversations",
  "validation_inputs",
  "eval_inputs",
  "inputs",
];
const TRAINED = ["temperature", "divergence", "kl_weight", "ce_weight", "teacher_weight"];

/** Differences in the settings that make numbers of one name mean different things. */
export function whatDoesNotCompare({ settings }: Comparison, name: KeyName): string[] {
  const named = (keys: readonly string[]) => [
    ...new Set(
      settings
        .filter(({ key }) => keys.includes(key.split(".").at(-1) ?? key))
        .map(({ key }) => name(key)),
    ),
  ];
  const heldOut = named(HELD_OUT);
  const trained = named(TRAINED);
  return [
    heldOut.length > 0
      ? `Held-out numbers were measured on different prompts or completions (${heldOut.join(", ")}): they show each run's own course, not which run is better.`
      : "",
    trained.length > 0
      ? `Loss and training divergence mean different things here (${trained.join(", ")}); held-out reverse KL and agreement do not depend on them.`
      : "",
  ].filter(Boolean);
}
