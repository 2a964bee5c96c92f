import { toast } from "sonner";
import { expect, test, vi } from "vitest";
import { ApiError } from "@/api/problem";
import { pauseOrResume, showStartError } from "@/features/runs/run-actions";

function refusal(code: string): ApiError {
  return new ApiError({
    type: "about:blank",
    title: "Conflict",
    status: 409,
    code,
    detail: "30 GB are free now.",
    action: "Close what holds it.",
    errors: [],
  });
}

test("a start that was refused for memory in use can be started anyway by a button", () => {
  const shown = vi.spyOn(toast, "error").mockReturnValue(1);
  const again = vi.fn();
  showStartError(refusal("memory_in_use"), again);
  const options = shown.mock.lastCall?.[1];
  expect(options?.action).toEqual({ label: "Start anyway", onClick: again });
  showStartError(refusal("run_finished"), again);
  expect(shown.mock.lastCall?.[1]?.action).toBeUndefined();
  shown.mockRestore();
});

test("the pause key pauses what is at work and lets what waits go on", () => {
  expect(pauseOrResume("running")).toBe("pause");
  expect(pauseOrResume("paused")).toBe("resume");
  expect(pauseOrResume("created")).toBe("start");
  expect(pauseOrResume("finished")).toBeUndefined();
  expect(pauseOrResume("stopping")).toBeUndefined();
});
