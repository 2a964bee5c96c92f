import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { throttled } from "@/charts/throttle";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("a hundred requests in a second draw at most four times and once more", () => {
  const draw = vi.fn();
  const { request } = throttled(draw, () => false);
  for (let i = 0; i < 100; i += 1) {
    request();
    vi.advanceTimersByTime(10);
  }
  expect(draw.mock.calls.length).toBeGreaterThanOrEqual(4);
  expect(draw.mock.calls.length).toBeLessThanOrEqual(5);
});

test("a hidden page draws nothing", () => {
  const draw = vi.fn();
  const { request } = throttled(draw, () => true);
  request();
  vi.advanceTimersByTime(5000);
  expect(draw).not.toHaveBeenCalled();
});

test("the last request is never lost", () => {
  const draw = vi.fn();
  const { request } = throttled(draw, () => false);
  request();
  vi.advanceTimersByTime(1);
  request();
  vi.advanceTimersByTime(1000);
  expect(draw).toHaveBeenCalledTimes(2);
});
