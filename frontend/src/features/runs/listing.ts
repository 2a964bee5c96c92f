import { z } from "zod";
import type { RunListing } from "@/api/runs";
import type { KindFacts, Metric, RunState } from "@/api/types";
import { RUN_STATES } from "@/features/runs/run-state";

/** What the address of the list of runs holds; what is not understood is left out, never an error. */
export const runSearch = z.object({
  q: z.string().optional().catch(undefined),
  state: z
    .array(z.enum(RUN_STATES as [RunState, ...RunState[]]))
    .optional()
    .catch(undefined),
  filter: z.array(z.string()).optional().catch(undefined),
  sort: z.string().optional().catch(undefined),
  archived: z.enum(["no", "yes", "all"]).optional().catch(undefined),
  favourite: z.boolean().optional().catch(undefined),
  /** A run kind: only its runs, with its columns. */
  method: z.string().optional().catch(undefined),
  /** A key: runs of one value stand together. */
  group: z.string().optional().catch(undefined),
  column: z.array(z.string()).optional().catch(undefined),
  curves: z.boolean().optional().catch(undefined),
  selected: z.array(z.string()).optional().catch(undefined),
});

export type RunSearch = z.infer<typeof runSearch>;

export const DEFAULT_SORT = "-created";
const MOST_COLUMNS = 3;
export const PAGE_SIZE = 100;
export const MOST_COMPARED = 8;

/** The question for one page of the list. */
export function listingOf(search: RunSearch, page: number): RunListing {
  return {
    offset: page * PAGE_SIZE,
    limit: PAGE_SIZE,
    sort: search.sort ?? DEFAULT_SORT,
    column: columnsOf(search),
    ...(search.q ? { search: search.q } : {}),
    ...(search.state?.length ? { state: search.state } : {}),
    ...filtersOf(search),
    ...(search.group ? { group: search.group } : {}),
    ...(search.favourite ? { favourite: true } : {}),
    ...(search.archived ? { archived: search.archived } : {}),
  };
}

function filtersOf({ filter = [], method }: RunSearch): Pick<RunListing, "filter"> {
  const all = [...filter, ...(method ? [`method=${method}`] : [])];
  return all.length > 0 ? { filter: all } : {};
}

export function columnsOf(search: RunSearch): string[] {
  return [...(search.column ?? [])];
}

/** The list with the columns of its method, or of all of them, where the user chose none. */
export function withColumns(search: RunSearch, kinds: readonly KindFacts[]): RunSearch {
  return search.column ? search : { ...search, column: defaultColumns(search.method, kinds) };
}

/** What a method is watched and judged by; of all methods, what each is judged by. */
export function defaultColumns(method: string | undefined, kinds: readonly KindFacts[]): string[] {
  const kind = kinds.find(({ name }) => name === method);
  const judged = (one: KindFacts) => one.best_metric ?? [];
  const keys = kind
    ? [
        ...(kind.face.main?.metrics.slice(0, 1) ?? []).map(({ key }) => key),
        ...[judged(kind)].flat(),
        ...(kind.face.small ?? [])
          .flat()
          .flatMap(({ key, role }) => (role === "evaluation" ? key : [])),
      ]
    : kinds.flatMap(judged);
  return [...new Set(keys)].slice(0, MOST_COLUMNS);
}

/** The better values first, else the larger ones; then the other way, then back to the newest. */
export function nextSort(
  current: string | undefined,
  key: string,
  better: Metric["better"] = "neither",
): string | undefined {
  const [first, second] = better === "lower" ? [key, `-${key}`] : [`-${key}`, key];
  if (current === first) {
    return second;
  }
  return current === second ? undefined : first;
}

export function toggled<T>(list: readonly T[] | undefined, item: T): T[] | undefined {
  const rest = (list ?? []).filter((other) => other !== item);
  const next = rest.length === (list ?? []).length ? [...rest, item] : rest;
  return next.length > 0 ? next : undefined;
}

/** The pages that rows `first` to `last` stand on. */
export function pagesOf(first: number, last: number): number[] {
  const from = Math.floor(Math.max(first, 0) / PAGE_SIZE);
  const to = Math.floor(Math.max(last, 0) / PAGE_SIZE);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

export function isFiltered(search: RunSearch): boolean {
  return Boolean(
    search.q ||
      search.state ||
      search.filter ||
      search.method ||
      search.favourite ||
      search.archived,
  );
}
