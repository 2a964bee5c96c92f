import type { Plan } from "@/api/types";
import { formatNumber } from "@/components/format";

/** A colour for each part, by whose it is: the student's, the teacher's, or neither's. */
function colorOf(part: string, index: number): string {
  const hue = part.includes("teacher")
    ? "var(--color-teacher)"
    : part.includes("student") || part.includes("adapter")
      ? "var(--color-student)"
      : "var(--color-base)";
  return `color-mix(in oklab, ${hue} ${100 - (index % 4) * 20}%, var(--color-surface))`;
}

/** Whether a part is worth a line: what is not there at all is not, and tiny models are. */
function isPart(plan: Plan, part: string): boolean {
  const hasTeacher = plan.teacher !== null || (plan.stages ?? []).length > 0;
  const isModel = part === "student" || (part === "teacher" && hasTeacher);
  return isModel || plan.phases.some((phase) => (phase.parts[part] ?? 0) > 0);
}

/** The plan rounds to hundredths; a tiny model is not nothing. */
function sizeOf(gigabytes: number): string {
  return gigabytes < 0.005 ? "< 0.01 GB" : `${formatNumber(gigabytes, 3)} GB`;
}

/** One stacked bar a phase against what the machine can give. */
export function MemoryBars({ plan }: { plan: Plan }) {
  const scale = Math.max(plan.memory_gb, ...plan.phases.map((phase) => phase.total_gb)) * 1.02;
  const parts = [...new Set(plan.phases.flatMap((phase) => Object.keys(phase.parts)))].filter(
    (part) => isPart(plan, part),
  );
  return (
    <div className="@container flex flex-col gap-3">
      <p className="num">
        <span className="text-xl font-medium">{formatNumber(plan.needed_gb, 3)}</span>{" "}
        <span className="text-muted">
          GB at the peak, while {plan.peak_phase.replaceAll("_", " ")}; this run may use{" "}
          {formatNumber(plan.limit_gb, 3)} of {formatNumber(plan.memory_gb, 3)} GB
        </span>
      </p>
      <div className="flex flex-col gap-2">
        {plan.phases.map((phase) => (
          <div
            key={phase.name}
            className="grid grid-cols-[88px_minmax(0,1fr)_72px] items-center gap-3"
          >
            <span className="truncate text-muted">{phase.name.replaceAll("_", " ")}</span>
            <div className="relative flex h-4 overflow-hidden rounded-sm bg-sunken">
              {Object.entries(phase.parts).map(([part, gb]) => (
                <div
                  key={part}
                  title={`${part.replaceAll("_", " ")}: ${formatNumber(gb, 3)} GB`}
                  style={{
                    width: `${(gb / scale) * 100}%`,
                    background: colorOf(part, parts.indexOf(part)),
                  }}
                />
              ))}
              <div
                aria-hidden
                title="What this run may use"
                className="absolute inset-y-0 border-r-2 border-ink"
                style={{ left: `${(plan.limit_gb / scale) * 100}%` }}
              />
            </div>
            <span className="num text-right">
              {formatNumber(phase.total_gb, 3)} <span className="text-faint">GB</span>
            </span>
          </div>
        ))}
      </div>
      <dl className="grid grid-cols-1 gap-x-6 @min-[360px]:grid-cols-2 @min-[560px]:grid-cols-3">
        {parts.map((part, index) => (
          <div key={part} className="num flex h-6 items-center gap-2">
            <span
              aria-hidden
              className="size-2 shrink-0 rounded-sm"
              style={{ background: colorOf(part, index) }}
            />
            <dt className="truncate" title={part.replaceAll("_", " ")}>
              {part.replaceAll("_", " ")}
            </dt>
            <dd className="ml-auto whitespace-nowrap text-muted">
              {sizeOf(plan.parts[part] ?? 0)}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
