import { ChevronDown, ChevronRight } from "lucide-react";
import type { KindFacts, Metric, RunGroup } from "@/api/types";
import { formatCount, formatNumber, formatPercent } from "@/components/format";
import { useKeyName } from "@/features/runs/key-names";

interface GroupCellsProps {
  group: RunGroup;
  groupKey: string;
  isOpen: boolean;
  onToggle: () => void;
  columns: readonly string[];
  metrics: ReadonlyMap<string, Metric> | undefined;
  kinds: readonly KindFacts[];
}

/** A group's line: its value, how many runs, and of each column the mean and the range. */
export function GroupCells({
  group,
  groupKey,
  isOpen,
  onToggle,
  columns,
  metrics,
  kinds,
}: GroupCellsProps) {
  const Chevron = isOpen ? ChevronDown : ChevronRight;
  const title = useKeyName()(groupKey);
  // The columns are narrow: what their figures are is said here, once.
  const runs = group.count === 1 ? "1 run" : `${formatCount(group.count)} runs, mean`;
  return (
    <>
      {/* To the first of the columns, counted from the end: how many stand before them changes. */}
      <td className="min-w-0" style={{ gridColumn: `1 / -${columns.length + 2}` }}>
        <button
          type="button"
          aria-expanded={isOpen}
          onClick={onToggle}
          className="flex h-8 w-full min-w-0 items-center gap-2 text-left"
        >
          <Chevron className="size-3.5 shrink-0 text-muted" aria-hidden />
          <span className="text-muted">{title}</span>
          <span className="num truncate font-medium">
            {valueText(group.value, groupKey, kinds)}
          </span>
          <span className="num shrink-0 text-muted">{runs}</span>
        </button>
      </td>
      {columns.map((key) => (
        <SpreadCell key={key} spread={group.columns[key]} metric={metrics?.get(key)} />
      ))}
      <td />
    </>
  );
}

function valueText(value: string | null, key: string, kinds: readonly KindFacts[]): string {
  if (value === null) {
    return "none";
  }
  return (key === "method" && kinds.find(({ name }) => name === value)?.title) || value;
}

interface SpreadCellProps {
  spread: RunGroup["columns"][string] | undefined;
  metric: Metric | undefined;
}

function SpreadCell({ spread, metric }: SpreadCellProps) {
  if (!spread) {
    return <td />;
  }
  const isShare = metric?.unit === "share";
  const text = (value: number) => (isShare ? formatPercent(value) : formatNumber(value, 3));
  const range = `${text(spread.minimum)} to ${text(spread.maximum)}`;
  const note = `Mean of ${spread.count} runs, from the lowest to the highest`;
  return (
    <td className="num min-w-0 pl-3 text-right leading-[14px]" title={note}>
      <div className="truncate">
        {text(spread.mean)}
        {isShare ? <span className="text-faint"> %</span> : null}
      </div>
      {spread.count > 1 ? (
        <div className="truncate text-[10px] leading-[12px] text-faint">{range}</div>
      ) : null}
    </td>
  );
}
