import { useVirtualizer } from "@tanstack/react-virtual";
import clsx from "clsx";
import { useEffect, useMemo, useRef } from "react";
import type { KindFacts, Metric } from "@/api/types";
import { GroupCells } from "@/features/runs/group-cells";
import { useKeyName } from "@/features/runs/key-names";
import { columnsOf, type RunSearch } from "@/features/runs/listing";
import type { ListRow, ListRows } from "@/features/runs/rows";
import { Cells } from "@/features/runs/run-cells";
import { SortHeader } from "@/features/runs/sort-header";
import type { RunWindow } from "@/features/runs/use-run-window";

interface RunTableProps {
  runs: RunWindow;
  rows: ListRows;
  onToggle: (row: ListRow) => void;
  search: RunSearch;
  change: (part: Partial<RunSearch>) => void;
  active: number;
  onActive: (line: number) => void;
  metrics: ReadonlyMap<string, Metric> | undefined;
  kinds: readonly KindFacts[];
}

const ROW_PX = 32;

/** Ten thousand rows of which a screenful exists. */
export function RunTable(props: RunTableProps) {
  const { runs, rows, search, change, active } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const columns = useMemo(() => columnsOf(search), [search]);
  const window = useVirtualizer({
    count: rows.count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  });
  const items = window.getVirtualItems().filter((item) => item.index < rows.count);
  const first = items[0] ? rows.runAt(items[0].index) : 0;
  const last = items.length > 0 ? rows.runAt(items.at(-1)?.index ?? 0) : 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a move of the window asks for pages
  useEffect(() => runs.show(first, last), [first, last]);
  useEffect(() => {
    if (active > 0) {
      window.scrollToIndex(active);
    }
  }, [active, window]);
  const grid = {
    gridTemplateColumns: `var(--run-columns) repeat(${columns.length}, var(--metric-column)) 100px`,
  };
  return (
    <div ref={scroller} className="@container/runs min-h-0 grow overflow-auto border-t">
      <table
        className="run-columns grid min-w-min"
        aria-rowcount={rows.count + 1}
        aria-label="Runs"
      >
        <Head {...props} columns={columns} grid={grid} />
        <tbody className="relative block" style={{ height: window.getTotalSize() }}>
          {items.map((item) => {
            const row = rows.at(item.index);
            const run = row.kind === "run" ? runs.row(row.index) : undefined;
            return (
              <tr
                key={item.key}
                aria-rowindex={item.index + 2}
                aria-selected={search.selected?.includes(run?.run_id ?? "") ?? false}
                onMouseDown={() => props.onActive(item.index)}
                className={clsx(
                  "absolute inset-x-0 grid h-8 items-center border-b px-4 hover:bg-hover aria-selected:bg-selected",
                  row.kind === "group" && "bg-sunken",
                  item.index === active && "shadow-[inset_2px_0_0_var(--color-accent)]",
                )}
                style={{ ...grid, transform: `translateY(${item.start}px)` }}
              >
                {row.kind === "group" ? (
                  <GroupCells
                    group={row.group}
                    groupKey={search.group ?? ""}
                    isOpen={row.isOpen}
                    onToggle={() => props.onToggle(row)}
                    columns={columns}
                    metrics={props.metrics}
                    kinds={props.kinds}
                  />
                ) : (
                  <Cells
                    run={run}
                    columns={columns}
                    selected={search.selected}
                    change={change}
                    metrics={props.metrics}
                    kinds={props.kinds}
                  />
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

interface HeadProps extends Pick<RunTableProps, "search" | "change" | "metrics"> {
  columns: readonly string[];
  grid: { gridTemplateColumns: string };
}

function Head({ search, change, metrics, columns, grid }: HeadProps) {
  const shared = { search, change };
  const name = useKeyName();
  return (
    <thead className="sticky top-0 z-10 grid">
      <tr className="grid h-8 items-center border-b bg-page px-4 label" style={grid}>
        <th />
        <th />
        <SortHeader label="Name" sortKey="name" {...shared} />
        <SortHeader label="State" sortKey="state" {...shared} />
        <SortHeader
          label="Method"
          sortKey="method"
          className="@max-[880px]/runs:hidden"
          {...shared}
        />
        <SortHeader
          label="Student from teacher"
          sortKey="student"
          className="@max-[1200px]/runs:hidden"
          {...shared}
        />
        <SortHeader label="Step" sortKey="step" right {...shared} />
        <th className="pl-4 text-left font-normal @max-[1060px]/runs:hidden">Curve</th>
        {columns.map((key) => (
          <SortHeader
            key={key}
            label={name(key)}
            hint={key}
            sortKey={key}
            better={metrics?.get(key)?.better}
            right
            {...shared}
          />
        ))}
        <SortHeader label="Created" sortKey="created" right {...shared} />
      </tr>
    </thead>
  );
}
