import { expect, test } from "vitest";
import type { MappedPair, Outlook } from "@/api/types";
import { fittingPairs, settingsOfPair } from "@/features/new-run/fitting-pairs";

function pair(name: string, verdict: Outlook["verdict"], hours: number, isHere = false) {
  const model = (role: string) => ({
    name: `${name}-${role}`,
    alias: name,
    family: "qwen3",
    precision: "4 bit",
    parameters: 1,
    weights_gb: 1,
    is_here: isHere,
  });
  const seconds = verdict === "does_not_fit" ? null : hours * 3600;
  const outlooks = [
    { verdict, needed_gb: 1, step_seconds: 1, seconds, changes: { batch_size: 1 } },
  ];
  return { teacher: model("teacher"), student: model("student"), outlooks } satisfies MappedPair;
}

test("pairs on this machine come first, then those done soon, then those with room to spare", () => {
  const pairs = [
    pair("never", "does_not_fit", 1),
    pair("slow", "fits", 400),
    pair("tight", "tight", 3),
    pair("roomy", "fits", 5),
    pair("mine", "tight", 90, true),
  ];
  const names = fittingPairs(pairs).map(({ teacher }) => teacher.alias);
  expect(names).toEqual(["mine", "roomy", "tight", "slow"]);
});

test("a pair sets both models and what it needs to fit", () => {
  expect(settingsOfPair(pair("a", "fits", 1), 0)).toEqual({
    teacher_model: "a-teacher",
    student_model: "a-student",
    batch_size: 1,
  });
});
