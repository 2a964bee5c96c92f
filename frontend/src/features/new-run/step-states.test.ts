import { expect, test } from "vitest";
import { ApiError } from "@/api/problem";
import type { FormField } from "@/api/types";
import { hasPlace } from "@/features/new-run/field-errors";
import {
  problemsOfCheck,
  problemsOfConfig,
  problemsOfPlan,
  settingNear,
  statesOf,
} from "@/features/new-run/step-states";

function field(key: string, group: FormField["group"]): FormField {
  return {
    key,
    group,
    title: key,
    help: "",
    kind: "text",
    unit: "",
    advanced: false,
    nullable: false,
    default: null,
    minimum: null,
    maximum: null,
    above: null,
    below: null,
    max_length: null,
    choices: [],
    parts: [],
  };
}

const FIELDS = [
  field("grpo.model", "models"),
  field("grpo.prompts", "data"),
  field("grpo.rewards", "objective"),
  field("grpo.lora.rank", "adapter"),
];

function finding(key: string, severity: "error" | "warning") {
  return { severity, code: "x", field: key, message: `about ${key}`, fix: "Mend it." };
}

test("what the check finds is on the step of its setting, and leads to it", () => {
  const findings = [
    finding("grpo.prompts", "error"),
    finding("grpo.rewards.0.file", "error"),
    finding("grpo.lora", "warning"),
    finding("workspace", "warning"),
  ];
  const places = problemsOfCheck({ findings }, FIELDS).map(({ step, field: at }) => [step, at]);
  expect(places).toEqual([
    ["data", "grpo.prompts"],
    ["objective", "grpo.rewards"],
    ["objective", "grpo.lora.rank"],
    ["budget", null],
  ]);
  expect(settingNear("grpo", FIELDS)).toBeUndefined();
});

test("a wrong setting is an error, and one that belongs to none is on the step of the objective", () => {
  const problem = {
    type: "about:blank",
    title: "Unprocessable",
    status: 422,
    code: "config",
    detail: "Wrong.",
    action: "",
    errors: [
      { location: "grpo.model", message: "is unknown" },
      { location: "grpo", message: "Two exclude each other." },
    ],
  };
  const found = problemsOfConfig(new ApiError(problem), FIELDS);
  expect(found.map(({ step, field: at, severity }) => [step, at, severity])).toEqual([
    ["models", "grpo.model", "error"],
    ["objective", null, "error"],
  ]);
  expect(found.map(({ message }) => message)).toEqual([
    "grpo.model: is unknown.",
    "Two exclude each other.",
  ]);
});

test("a run that does not fit is an error of the budget, and a tight one a warning", () => {
  const plan = { needed_gb: 20, limit_gb: 12 };
  expect(problemsOfPlan({ ...plan, verdict: "fits" })).toEqual([]);
  expect(problemsOfPlan({ ...plan, verdict: "tight" })[0]?.severity).toBe("warning");
  expect(problemsOfPlan({ ...plan, verdict: "does_not_fit" })[0]).toMatchObject({
    step: "budget",
    severity: "error",
    message: "It does not fit: it needs 20.0 of the 12.0 GB that a run may use.",
  });
});

test("a step is done only once it was checked and nothing speaks against it", () => {
  const problems = problemsOfCheck(
    { findings: [finding("grpo.prompts", "warning"), finding("grpo.model", "error")] },
    FIELDS,
  );
  expect(statesOf(problems, true)).toEqual({
    method: "done",
    models: "error",
    data: "warning",
    objective: "done",
    budget: "done",
    review: "open",
  });
  expect(statesOf([], false).data).toBe("open");
});

test("a setting of one of several teachers is gone to by itself", () => {
  const several = {
    ...field("distillation.teachers", "models"),
    kind: "teachers" as const,
    parts: [field("distillation.teachers.name", "models")],
  };
  const found = problemsOfCheck({ findings: [finding("distillation.teachers.1.model", "error")] }, [
    several,
  ]);
  expect(found.map(({ step, field: at }) => [step, at])).toEqual([
    ["models", "distillation.teachers.1.model"],
  ]);
  const name = { location: "distillation.teachers.1.name", message: "must not be empty" };
  const error = new ApiError({
    type: "about:blank",
    title: "",
    status: 422,
    code: "invalid_config",
    detail: "",
    action: "",
    errors: [name],
  });
  expect(problemsOfConfig(error, [several])[0]).toMatchObject({
    field: "distillation.teachers.1.name",
    message: "distillation.teachers, distillation.teachers.name: must not be empty.",
  });
  expect(hasPlace("distillation.teachers.1.model", [several])).toBe(true);
  expect(hasPlace("grpo.rewards.0.file", FIELDS)).toBe(false);
});
