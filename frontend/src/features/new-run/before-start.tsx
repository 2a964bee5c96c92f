import { useQuery } from "@tanstack/react-query";
import { runPlan } from "@/api/planning";
import type { CheckReport, ConfigValues, Plan } from "@/api/types";
import { Badge } from "@/components/badge";
import { Card, Figure } from "@/components/card";
import { formatCount, formatDuration, formatNumber, formatPercent } from "@/components/format";
import type { Problem } from "@/features/new-run/step-states";

interface BeforeStartProps {
  config: ConfigValues;
  report: CheckReport | undefined;
  problems: readonly Problem[];
}

/** What a run takes and what it learns from, at one glance: memory, time, disk, rows, leakage. */
export function BeforeStart({ config, report, problems }: BeforeStartProps) {
  const plan = useQuery(runPlan(config, null));
  return (
    <Card title="Before it starts" actions={<Verdict problems={problems} isKnown={!!report} />}>
      <div className="grid grid-cols-[repeat(auto-fit,minmax(132px,1fr))] gap-x-6 gap-y-4">
        <Forecast plan={plan.error ? undefined : plan.data} />
        <Disk disk={report?.disk} />
        <Rows report={report} />
      </div>
    </Card>
  );
}

function Verdict({ problems, isKnown }: { problems: readonly Problem[]; isKnown: boolean }) {
  if (problems.some(({ severity }) => severity === "error")) {
    return <Badge tone="bad">Something is wrong</Badge>;
  }
  if (problems.length > 0) {
    return <Badge tone="warn">Can start, with warnings</Badge>;
  }
  return isKnown ? <Badge tone="good">Ready</Badge> : <Badge>Checking</Badge>;
}

const UNKNOWN = "–";
const NOT_YET = "not known yet";

function Forecast({ plan }: { plan: Plan | undefined }) {
  return (
    <>
      <Figure
        label="Memory"
        value={plan ? formatNumber(plan.needed_gb, 3) : UNKNOWN}
        unit={plan ? "GB" : undefined}
        note={plan ? `of ${formatNumber(plan.limit_gb, 3)} GB that a run may use` : NOT_YET}
      />
      <Figure
        label="Time"
        value={plan ? formatDuration(plan.seconds) : UNKNOWN}
        note={
          plan
            ? `${formatDuration(plan.seconds_low)} to ${formatDuration(plan.seconds_high)}`
            : NOT_YET
        }
      />
    </>
  );
}

function Disk({ disk }: { disk: CheckReport["disk"] | undefined }) {
  const download = disk?.download_gb ?? 0;
  return (
    <Figure
      label="Disk"
      value={disk ? formatNumber(disk.run_gb, 2) : UNKNOWN}
      unit={disk ? "GB" : undefined}
      note={
        !disk
          ? NOT_YET
          : download > 0
            ? `and ${formatNumber(download, 3)} GB to download`
            : "nothing to download"
      }
    />
  );
}

function Rows({ report }: { report: CheckReport | undefined }) {
  const held = report?.validation;
  const share = held && held.num_prompts > 0 ? held.num_leaked / held.num_prompts : 0;
  return (
    <>
      <Figure
        label="Lines to learn from"
        value={counted(report?.prompts?.num_prompts)}
        note={report ? `${counted(held?.num_prompts)} held out` : NOT_YET}
      />
      <Figure
        label="Leakage"
        value={held ? formatPercent(share) : UNKNOWN}
        unit={held ? "%" : undefined}
        note={
          held
            ? `${formatCount(held.num_leaked)} of ${formatCount(held.num_prompts)} held-out lines are trained on`
            : report
              ? "no held-out lines"
              : NOT_YET
        }
      />
    </>
  );
}

function counted(count: number | undefined): string {
  return count === undefined ? UNKNOWN : formatCount(count);
}
