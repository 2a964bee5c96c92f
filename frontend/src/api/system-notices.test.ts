import { expect, test } from "vitest";
import { endingOf } from "@/api/system-notices";
import type { RunSummary } from "@/api/types";

const run = (state: RunSummary["state"]) => ({ run_id: "a", name: "a", state }) as RunSummary;

test("a run that comes to its end is told of, and one that was over before is not", () => {
  expect(endingOf(run("running"), run("finished"))).toBe("The run has finished.");
  expect(endingOf(run("stopping"), run("failed"))).toMatch(/^The run has failed/);
  expect(endingOf(undefined, run("finished"))).toBeNull();
  expect(endingOf(run("finished"), run("finished"))).toBeNull();
  expect(endingOf(run("running"), run("paused"))).toBeNull();
});
