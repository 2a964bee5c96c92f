import { expect, test } from "vitest";
import { ApiError } from "@/api/problem";
import type { CheckReport } from "@/api/types";
import { errorsByField, findingAgainst, fixOf } from "@/features/new-run/field-errors";

const problem = {
  type: "about:blank",
  title: "",
  status: 422,
  code: "invalid_config",
  detail: "",
  action: "",
};

test("a leak is told without the commands that a terminal would need", () => {
  const finding = {
    severity: "error" as const,
    code: "leaked",
    field: "sft.validation_conversations",
    message: "9 of 9 are trained on as well.",
    fix: "opd data split a b c",
  };
  const report = { verdict: "error" as const, findings: [finding] } as unknown as CheckReport;
  expect(findingAgainst(report, finding.field)).toBe(finding.message);
  expect(fixOf({ ...finding, code: "no_file" })).toBe(finding.fix);
});

test("an entry of a list is told at its list", () => {
  const errors = [
    { location: "prompt_distillation.labels.3", message: "no text" },
    { location: "sft.lora.rank", message: "too small" },
  ];
  expect([...errorsByField(new ApiError({ ...problem, errors }))]).toEqual([
    ["prompt_distillation.labels", "no text"],
    ["sft.lora.rank", "too small"],
  ]);
});

test("a finding lands on every setting that it names, and a warning on none", () => {
  const finding = { code: "model", message: "Nobody knows it.", fix: "Choose another." };
  const report = {
    findings: [
      { ...finding, severity: "warning", field: "x.inputs" },
      { ...finding, severity: "error", field: "x.student_model, x.teacher_model" },
    ],
  } as unknown as CheckReport;
  expect(findingAgainst(report, "x.teacher_model")).toBe("Nobody knows it. Choose another.");
  expect(findingAgainst(report, "x.inputs")).toBeUndefined();
  expect(findingAgainst(undefined, "x.inputs")).toBeUndefined();
});
