import type { RunDetail } from "@/api/types";
import { Card } from "@/components/card";
import { formatDuration, formatPercent } from "@/components/format";

const PARTS: Readonly<Record<string, { label: string; color: string }>> = {
  sampling: { label: "Sampling", color: "var(--color-student)" },
  grading: { label: "Grading", color: "var(--color-warn)" },
  scoring: { label: "Scoring", color: "var(--color-teacher)" },
  learning: { label: "Learning", color: "var(--color-base)" },
  loading: { label: "Loading and proving", color: "var(--color-faint)" },
  generating: { label: "Writing what is learned from", color: "var(--color-warn)" },
  evaluating: { label: "Evaluating", color: "var(--color-good)" },
  other: { label: "Saving and the rest", color: "var(--color-line-strong)" },
};

/** Less than this would be told as 0 %. */
const LEAST_SHARE = 0.005;

/** Where the run's time at work went, as one bar. */
export function TimeSplit({ detail }: { detail: RunDetail }) {
  const all = detail.time_split ?? [];
  const whole = all.reduce((sum, part) => sum + part.seconds, 0);
  const parts = all.filter((part) => part.seconds >= LEAST_SHARE * whole);
  if (whole === 0) {
    return null;
  }
  return (
    <Card title="Where the time went">
      <div className="flex h-2.5 gap-px overflow-hidden rounded-sm" aria-hidden>
        {parts.map((part) => (
          <div
            key={part.name}
            style={{
              width: `${(part.seconds / whole) * 100}%`,
              background: PARTS[part.name]?.color,
            }}
          />
        ))}
      </div>
      <dl className="mt-2 flex flex-wrap gap-x-5 gap-y-1">
        {parts.map((part) => (
          <div key={part.name} className="num flex items-center gap-1.5">
            <span
              aria-hidden
              className="size-2 rounded-sm"
              style={{ background: PARTS[part.name]?.color }}
            />
            <dt>{PARTS[part.name]?.label ?? part.name}</dt>
            <dd className="text-muted">
              {formatDuration(part.seconds)}, {formatPercent(part.seconds / whole, 0)}&nbsp;%
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
