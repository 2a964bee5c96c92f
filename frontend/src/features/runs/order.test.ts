import { expect, test } from "vitest";
import type { QueueView } from "@/api/types";
import { heldBack, moved } from "@/features/runs/order";

function queue(waits_for_memory: boolean, ...ids: string[]): QueueView {
  const waiting = ids.map((run_id) => ({ run_id }));
  return { active: null, queue: waiting, blocked: "…", waits_for_memory } as unknown as QueueView;
}

test("only the run whose turn it is can be started although others hold the memory", () => {
  expect(heldBack(queue(true, "a", "b"))).toBe("a");
  expect(heldBack(queue(false, "a", "b"))).toBeNull();
  expect(heldBack(queue(true))).toBeNull();
  expect(heldBack(null)).toBeNull();
});

test("a run moves up, down and not beyond the ends", () => {
  expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
  expect(moved(["a", "b", "c"], 0, 1)).toEqual(["b", "a", "c"]);
  expect(moved(["a", "b", "c"], 0, -1)).toEqual(["a", "b", "c"]);
  expect(moved(["a", "b", "c"], 1, 9)).toEqual(["a", "c", "b"]);
  expect(moved(["a"], 4, 0)).toEqual(["a"]);
});
