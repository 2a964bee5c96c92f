import type { RunSummary } from "@/api/types";
import { Card } from "@/components/card";
import { formatNumber, formatPercent } from "@/components/format";

const PARTS = [
  { key: "sampling_seconds", label: "Sampling", color: "var(--color-student)" },
  { key: "grading_seconds", label: "Grading", color: "var(--color-warn)" },
  { key: "scoring_seconds", label: "Scoring", color: "var(--color-teacher)" },
  { key: "learning_seconds", label: "Learning", color: "var(--color-base)" },
] as const;

/** Where a step's time goes: the student samples, code or a teacher grades, the student learns. */
export function TimeSplit({ run, latest }: { run: RunSummary; latest: Record<string, number> }) {
  const value = (key: string) => latest[key] ?? run.metrics[key]?.last ?? 0;
  const total = value("step_seconds");
  const known = PARTS.reduce((sum, part) => sum + value(part.key), 0);
  const rest = { key: "rest", label: "Rest", color: "var(--color-line-strong)" };
  const parts = [
    ...PARTS.filter(({ key }) => value(key) > 0).map((part) => ({
      ...part,
      seconds: value(part.key),
    })),
    { ...rest, seconds: Math.max(0, total - known) },
  ];
  const whole = Math.max(total, known);
  return (
    <Card title="A step's time">
      {whole === 0 ? (
        <p className="text-muted">No step is finished yet.</p>
      ) : (
        <>
          <div className="flex h-2 gap-px overflow-hidden rounded-sm" aria-hidden>
            {parts.map((part) => (
              <div
                key={part.key}
                style={{ width: `${(part.seconds / whole) * 100}%`, background: part.color }}
              />
            ))}
          </div>
          <dl className="mt-2">
            {parts.map((part) => (
              <div key={part.key} className="num flex h-6 items-center gap-2">
                <span
                  aria-hidden
                  className="size-2 rounded-sm"
                  style={{ background: part.color }}
                />
                <dt>{part.label}</dt>
                <dd className="ml-auto">
                  {formatNumber(part.seconds, 3)} <span className="text-faint">s</span>
                </dd>
                <dd className="w-12 text-right text-muted">
                  {formatPercent(part.seconds / whole, 0)} %
                </dd>
              </div>
            ))}
          </dl>
        </>
      )}
    </Card>
  );
}
