import { expect, test } from "vitest";
import type { KindFacts } from "@/api/types";
import {
  defaultColumns,
  listingOf,
  nextSort,
  pagesOf,
  runSearch,
  toggled,
  withColumns,
} from "@/features/runs/listing";

test("an address with nonsense is read as one without it", () => {
  const search = runSearch.parse({
    q: 7,
    state: ["running", "dancing"],
    sort: "name",
    archived: 1,
  });
  expect(search).toEqual({ sort: "name" });
});

test("an empty address asks for the newest runs that are not archived", () => {
  expect(listingOf({}, 2)).toEqual({
    offset: 200,
    limit: 100,
    sort: "-created",
    column: [],
  });
});

const KINDS = [
  kind("on_policy", "divergence", "eval_reverse_kl", ["eval_agreement"]),
  kind("grpo", "reward", "eval_accuracy", ["eval_accuracy"]),
  { name: "evaluation", best_metric: null, face: { main: null, small: [] } },
] as unknown as KindFacts[];

function kind(name: string, watched: string, best: string, heldOut: string[]) {
  const small = [heldOut.map((key) => ({ key, role: "evaluation" }))];
  return { name, best_metric: best, face: { main: { metrics: [{ key: watched }] }, small } };
}

test("columns are those of the method, of all methods what each is judged by", () => {
  const columns = (method?: string) => defaultColumns(method, KINDS);
  expect(columns("on_policy")).toEqual(["divergence", "eval_reverse_kl", "eval_agreement"]);
  expect(columns("grpo")).toEqual(["reward", "eval_accuracy"]);
  expect(columns("evaluation")).toEqual([]);
  expect(columns()).toEqual(["eval_reverse_kl", "eval_accuracy"]);
  expect(withColumns({ column: ["loss"] }, KINDS).column).toEqual(["loss"]);
});

test("a method is asked for as a filter beside the others", () => {
  expect(listingOf({ method: "grpo", filter: ["step>3"], group: "seed" }, 0)).toMatchObject({
    filter: ["step>3", "method=grpo"],
    group: "seed",
  });
});

test("a column is sorted falling, rising, and not at all", () => {
  expect(nextSort(undefined, "loss")).toBe("-loss");
  expect(nextSort("-loss", "loss")).toBe("loss");
  expect(nextSort("loss", "loss")).toBeUndefined();
  expect(nextSort("-loss", "name")).toBe("-name");
});

test("a metric is sorted with its better values first", () => {
  expect(nextSort(undefined, "eval_loss", "lower")).toBe("eval_loss");
  expect(nextSort("eval_loss", "eval_loss", "lower")).toBe("-eval_loss");
  expect(nextSort("-eval_loss", "eval_loss", "lower")).toBeUndefined();
  expect(nextSort(undefined, "eval_agreement", "higher")).toBe("-eval_agreement");
});

test("toggling twice leaves the address as it was", () => {
  expect(toggled(["a"], "b")).toEqual(["a", "b"]);
  expect(toggled(["a", "b"], "b")).toEqual(["a"]);
  expect(toggled(["a"], "a")).toBeUndefined();
});

test("the rows on the screen decide which pages are asked for", () => {
  expect(pagesOf(0, 40)).toEqual([0]);
  expect(pagesOf(95, 130)).toEqual([0, 1]);
});
