import type { RunDetail } from "@/api/types";
import { Card } from "@/components/card";
import { formatNumber, formatTime } from "@/components/format";

/** What made the run: models, data, seed, versions and machine. */
export function OriginCard({ detail }: { detail: RunDetail }) {
  const rows = originRows(detail);
  return (
    <Card title="What made it" flush>
      <dl className="divide-y">
        {rows.map(([name, value]) => (
          <div key={name} className="flex gap-3 px-3 py-1.5">
            <dt className="w-28 shrink-0 text-muted">{name}</dt>
            <dd className="num min-w-0 break-words" title={value}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

/** Names and values of what is known; what is not known has no row. */
export function originRows({ run, origin }: RunDetail): [string, string][] {
  const { machine } = origin;
  const rows: [string, string | null][] = [
    ["Student", run.student || null],
    ["Teacher", run.teacher ?? null],
    ...(origin.files ?? []).map(({ title, path }): [string, string] => [title, path]),
    ["Seed", origin.seed === null ? null : String(origin.seed)],
    ["Settings", origin.config_hash ? `fingerprint ${origin.config_hash}` : null],
    ["Versions", machine ? versionsText(machine) : null],
    ["Machine", machine ? machineText(origin) : null],
    ["Begun", run.started ? formatTime(run.started) : null],
    ["Folder", run.run_id],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}

type Machine = NonNullable<RunDetail["origin"]["machine"]>;

function versionsText({ program, mlx, mlx_lm, python }: Machine): string {
  const own = program ? `OnPolicyDistill ${program}, ` : "";
  return `${own}mlx ${mlx}, mlx-lm ${mlx_lm}, Python ${python}`;
}

function machineText({ machine, machines }: RunDetail["origin"]): string {
  if (!machine) {
    return "";
  }
  const before = machines > 1 ? `, and ${machines - 1} other before it` : "";
  return `${machine.processor}, ${formatNumber(machine.memory_gb, 3)} GB, ${machine.platform}${before}`;
}
