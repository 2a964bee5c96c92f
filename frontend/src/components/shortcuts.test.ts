import { expect, test, vi } from "vitest";
import { matchShortcut, nameOfPress } from "@/components/shortcuts";

const bare = { metaKey: false, ctrlKey: false, altKey: false };

test("command and control are the same modifier", () => {
  expect(nameOfPress({ ...bare, key: "k", metaKey: true })).toBe("mod+k");
  expect(nameOfPress({ ...bare, key: "K", ctrlKey: true })).toBe("mod+k");
});

test("a sequence wins over the single key that ends it", () => {
  const goRuns = vi.fn();
  const reload = vi.fn();
  const shortcuts = { "g r": goRuns, r: reload };
  matchShortcut(shortcuts, "g", "r")?.();
  matchShortcut(shortcuts, null, "r")?.();
  expect(goRuns).toHaveBeenCalledOnce();
  expect(reload).toHaveBeenCalledOnce();
});

test("keys that mean nothing do nothing", () => {
  expect(matchShortcut({ "/": () => undefined }, "g", "q")).toBeUndefined();
});

test("a key behind G is never meant alone, so that G P does not pause a run", () => {
  const pause = () => undefined;
  expect(matchShortcut({ p: pause }, "g", "p")).toBeUndefined();
  expect(matchShortcut({ p: pause }, null, "p")).toBe(pause);
  expect(matchShortcut({ p: pause }, "x", "p")).toBe(pause);
});
