import clsx from "clsx";
import { ArrowDown, ArrowUp } from "lucide-react";
import type { Metric } from "@/api/types";
import { DEFAULT_SORT, nextSort, type RunSearch } from "@/features/runs/listing";

interface SortHeaderProps {
  label: string;
  hint?: string;
  sortKey: string;
  better?: Metric["better"] | undefined;
  search: RunSearch;
  change: (part: Partial<RunSearch>) => void;
  right?: boolean;
  className?: string;
}

/** A column's name, which sorts by it. */
export function SortHeader({ label, sortKey, search, change, ...rest }: SortHeaderProps) {
  const { hint, better, right = false, className } = rest;
  const sort = search.sort ?? DEFAULT_SORT;
  const falling = sort === `-${sortKey}`;
  const rising = sort === sortKey;
  return (
    <th
      className={clsx("min-w-0 font-normal", right ? "text-right" : "text-left", className)}
      aria-sort={falling ? "descending" : rising ? "ascending" : "none"}
    >
      <button
        type="button"
        title={hint}
        onClick={() => change({ sort: nextSort(search.sort, sortKey, better) })}
        className="inline-flex max-w-full items-center gap-1 hover:text-ink"
      >
        <span className="truncate">{label}</span>
        {falling ? <ArrowDown className="size-3" aria-hidden /> : null}
        {rising ? <ArrowUp className="size-3" aria-hidden /> : null}
      </button>
    </th>
  );
}
