import { expect, test } from "vitest";
import { ApiError, describeError, isMemoryInUse, leavesMachine, OfflineError } from "@/api/problem";

function refusal(code: string): ApiError {
  return new ApiError({
    type: "about:blank",
    title: "Conflict",
    status: 409,
    code,
    detail: "By forecast this run needs 90 GB, and 30 GB are free now.",
    action: "Close what holds it, or start the run anyway.",
    errors: [],
  });
}

test("only a start that others' memory stands against can be asked for again", () => {
  expect(isMemoryInUse(refusal("memory_in_use"))).toBe(true);
  expect(isMemoryInUse(refusal("low_memory"))).toBe(false);
  expect(isMemoryInUse(new OfflineError())).toBe(false);
  expect(isMemoryInUse(null)).toBe(false);
  expect(leavesMachine(refusal("leaves_machine"))).toBe(true);
  expect(leavesMachine(refusal("memory_in_use"))).toBe(false);
});

test("what is missing and what to do are both told", () => {
  const { title, reason } = describeError(refusal("memory_in_use"));
  expect(title).toContain("30 GB are free now");
  expect(reason).toContain("start the run anyway");
});
