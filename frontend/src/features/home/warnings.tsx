import type { SystemFigures } from "@/api/types";
import { formatNumber } from "@/components/format";
import { Notice } from "@/components/states";

interface WarningsProps {
  system: SystemFigures | null;
  blocked: string | null;
}

const LOW_DISK_GB = 10;
const LOW_MEMORY_SHARE = 0.08;

/** What would keep the next run from starting, or end it. */
export function Warnings({ system, blocked }: WarningsProps) {
  const isDiskLow = system !== null && system.disk_free_gb < LOW_DISK_GB;
  const isMemoryLow =
    system !== null && system.memory_available_gb / system.memory_total_gb < LOW_MEMORY_SHARE;
  return (
    <>
      {blocked ? (
        <Notice tone="warn" title="The next run is waiting">
          {blocked}
        </Notice>
      ) : null}
      {isDiskLow ? (
        <Notice tone="warn" title="The disk is nearly full">
          {formatNumber(system.disk_free_gb, 3)} GB are free; a run with a small adapter needs a
          few. Delete runs you do not need, or move the workspace.
        </Notice>
      ) : null}
      {isMemoryLow ? (
        <Notice tone="warn" title="Memory is low">
          {formatNumber(system.memory_available_gb, 3)} GB are available. Close other programs
          before you start a run; macOS ends the largest process first.
        </Notice>
      ) : null}
    </>
  );
}
