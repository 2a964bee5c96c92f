import type { SystemFigures } from "@/api/types";
import { Card } from "@/components/card";
import { formatGigabytes, formatMemory, formatNumber } from "@/components/format";
import { ProgressBar } from "@/components/progress-bar";
import { Skeleton } from "@/components/states";

/** Memory, disk and processor of the machine that trains. */
export function Machine({ system }: { system: SystemFigures | null }) {
  if (!system) {
    return <Skeleton className="h-36" />;
  }
  const memory = system.memory_total_gb - system.memory_available_gb;
  const disk = system.disk_total_gb - system.disk_free_gb;
  return (
    <Card title="This machine">
      <Meter
        label="Memory"
        used={memory}
        total={system.memory_total_gb}
        almostFull={0.85}
        format={formatMemory}
      />
      <Meter
        label="Disk of the workspace"
        used={disk}
        total={system.disk_total_gb}
        almostFull={0.95}
        format={formatGigabytes}
      />
      <p className="num mt-2 text-sm text-muted">
        Processor {formatNumber(system.cpu_percent, 2)} %, swap{" "}
        {formatNumber(system.swap_used_gb, 2)} GB
        {system.worker_memory_gb === null
          ? ""
          : `, the run's process ${formatNumber(system.worker_memory_gb, 3)} GB`}
      </p>
    </Card>
  );
}

interface MeterProps {
  label: string;
  used: number;
  total: number;
  /** The share from which it is a worry. */
  almostFull: number;
  format: (gigabytes: number) => string;
}

function Meter({ label, used, total, almostFull, format }: MeterProps) {
  const share = used / total;
  return (
    <div className="mb-2">
      <div className="num flex justify-between">
        <span>{label}</span>
        <span>
          {format(used)} <span className="text-faint">of {format(total)} GB used</span>
        </span>
      </div>
      <ProgressBar label={label} share={share} tone={share > almostFull ? "warn" : "accent"} />
    </div>
  );
}
