import { queryClient } from "@/api/query-client";
import { runPage } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { download, toCsv } from "@/components/download";
import { columnsOf, listingOf, PAGE_SIZE, type RunSearch } from "@/features/runs/listing";

/** Saves every run that the list shows, with its columns. */
export async function saveList(
  search: RunSearch,
  total: number,
  as: "csv" | "json",
): Promise<void> {
  const pages = Math.ceil(total / PAGE_SIZE);
  const runs: RunSummary[] = [];
  for (let page = 0; page < pages; page += 1) {
    runs.push(...(await queryClient.fetchQuery(runPage(listingOf(search, page)))).runs);
  }
  if (as === "json") {
    download("runs.json", `${JSON.stringify(runs, null, 1)}\n`, "application/json");
  } else {
    download("runs.csv", runsAsCsv(runs, columnsOf(search)), "text/csv");
  }
}

export function runsAsCsv(runs: readonly RunSummary[], columns: readonly string[]): string {
  const header = ["run_id", "name", "state", "student", "teacher", "step", "created", ...columns];
  const rows = runs.map((run) => [
    run.run_id,
    run.name,
    run.state,
    run.student,
    run.teacher,
    run.step,
    new Date(run.created * 1000).toISOString(),
    ...columns.map((key) => run.columns?.[key] ?? run.metrics[key]?.after ?? null),
  ]);
  return toCsv(header, rows);
}
