import { useQueries } from "@tanstack/react-query";
import { useState } from "react";
import { runPage } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { listingOf, PAGE_SIZE, pagesOf, type RunSearch } from "@/features/runs/listing";

export interface RunWindow {
  total: number;
  isLoading: boolean;
  error: Error | null;
  /** Undefined for a row whose page is still on its way. */
  row: (index: number) => RunSummary | undefined;
  show: (first: number, last: number) => void;
  retry: () => void;
}

/** The runs that a list shows now: only the pages on the screen are asked for. */
export function useRunWindow(search: RunSearch): RunWindow {
  const [shown, setShown] = useState({ first: 0, last: 0 });
  const pages = [...new Set([0, ...pagesOf(shown.first, shown.last)])];
  const results = useQueries({ queries: pages.map((page) => runPage(listingOf(search, page))) });
  const first = results[0];
  return {
    total: first?.data?.total ?? 0,
    isLoading: first?.isPending ?? true,
    error: first?.error ?? null,
    row: (index) => {
      const page = results[pages.indexOf(Math.floor(index / PAGE_SIZE))]?.data;
      return page?.runs[index - page.offset];
    },
    show: (from, to) => {
      if (pagesOf(from, to).join() !== pagesOf(shown.first, shown.last).join()) {
        setShown({ first: from, last: to });
      }
    },
    retry: () => {
      for (const result of results) {
        void result.refetch();
      }
    },
  };
}
