import { expect, test } from "vitest";
import type { Face, RunDetail } from "@/api/types";
import { faceOf, whatHappens } from "@/features/run/run-face";

const FACE: Face = {
  main: null,
  small: [],
  report: "answers",
  proves: false,
  tabs: ["overview", "log"],
  stages: ["train", "evaluate"],
};

function run(method: RunDetail["run"]["method"], teacher: string | null): RunDetail["run"] {
  return { method, student: "small", teacher } as unknown as RunDetail["run"];
}

test("a run has the face that its method and settings give it", () => {
  expect(faceOf({ facts: { face: FACE } as unknown as RunDetail["facts"] })).toBe(FACE);
});

test("a run whose config cannot be read claims no curve, proof or report of any method", () => {
  const face = faceOf({ facts: null });
  expect([face.main, face.report, face.proves, face.stages]).toEqual([null, null, false, []]);
  expect(face.tabs).toContain("config");
});

test("who learns from whom is said in words", () => {
  expect(whatHappens(run("sft", null))).toBe("small learns from conversations");
  expect(whatHappens(run("on_policy", "large"))).toBe("small learns from large");
  expect(whatHappens(run("prompt_distillation", "small"))).toBe("small learns from itself");
  expect(whatHappens(run("evaluation", null))).not.toContain("learns");
  expect(whatHappens(run("unknown", null))).toContain("cannot be read");
});
