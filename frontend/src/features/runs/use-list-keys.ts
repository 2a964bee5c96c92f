import { useNavigate } from "@tanstack/react-router";
import type { RefObject } from "react";
import { useShortcuts } from "@/components/shortcuts";
import { type RunSearch, toggled } from "@/features/runs/listing";
import type { ListRow, ListRows } from "@/features/runs/rows";
import { pauseOrResume, useRunVerb } from "@/features/runs/run-actions";
import type { RunWindow } from "@/features/runs/use-run-window";

interface ListKeys {
  rows: ListRows;
  runs: RunWindow;
  search: RunSearch;
  change: (part: Partial<RunSearch>) => void;
  toggle: (row: ListRow) => void;
  active: number;
  setActive: (next: (line: number) => number) => void;
  searchBox: RefObject<HTMLInputElement | null>;
}

/** The list without the mouse; the cheat sheet tells the keys. */
export function useListKeys(list: ListKeys): void {
  const { rows, search, change, active, setActive } = list;
  const navigate = useNavigate({ from: "/runs" });
  const verb = useRunVerb();
  const line = active < rows.count ? rows.at(active) : null;
  const run = line?.kind === "run" ? list.runs.row(line.index) : undefined;
  const selected = search.selected ?? [];
  const wanted = run && pauseOrResume(run.state);
  useShortcuts({
    "/": () => list.searchBox.current?.focus(),
    j: () => setActive((index) => Math.min(index + 1, rows.count - 1)),
    k: () => setActive((index) => Math.max(index - 1, 0)),
    x: () => run && change({ selected: toggled(search.selected, run.run_id) }),
    c: () => selected.length >= 2 && void navigate({ to: "/compare", search: { run: selected } }),
    p: () => run && wanted && verb.mutate({ runId: run.run_id, verb: wanted }),
    enter: () => {
      if (run) {
        void navigate({ to: "/runs/$runId", params: { runId: run.run_id } });
      } else if (line) {
        list.toggle(line);
      }
    },
    escape: () => change({ selected: undefined }),
  });
}
