import { expect, test } from "vitest";
import {
  configOf,
  EMPTY_PLAN,
  errorsByPart,
  numItemsOf,
  variantsOf,
} from "@/features/evaluate/plan";

const PLAN = { ...EMPTY_PLAN, model: "tiny", inputs: "/items.jsonl" };

test("a model alone is one variant", () => {
  expect(variantsOf(PLAN).map((variant) => variant.name)).toEqual(["model"]);
});

test("adapter and prompt make four variants with names of their own", () => {
  const names = variantsOf({ ...PLAN, adapter: "/a", prompt: "/p" }).map(({ name }) => name);
  expect(names).toEqual([
    "student before with prompt",
    "student before",
    "student after with prompt",
    "student after",
  ]);
});

test("a teacher answers with the prompt and is what the others are compared with", () => {
  const plan = { ...PLAN, adapter: "/a", prompt: "/p", teacher: "large", withBase: false };
  expect(variantsOf(plan).map(({ name, model }) => `${name}: ${model}`)).toEqual([
    "teacher with prompt: large",
    "student after with prompt: tiny",
    "student after: tiny",
  ]);
  expect(configOf(plan)["evaluation"]).toMatchObject({ teacher: "teacher with prompt" });
  expect(configOf(PLAN)["evaluation"]).toMatchObject({ teacher: null });
});

test("what is wrong with the teacher is not told of the student", () => {
  const error = { location: "evaluation.variants.0.model", message: "Nobody knows large." };
  expect([...errorsByPart([error], "large").keys()]).toEqual(["teacher"]);
  expect([...errorsByPart([error], "other").keys()]).toEqual(["model"]);
});

test("labels are separated by commas and blanks are none", () => {
  const config = configOf({ ...PLAN, labels: " de, en ,", maxSamples: "10" });
  expect(config["evaluation"]).toMatchObject({ labels: ["de", "en"], max_samples: 10 });
  expect(configOf(PLAN)["evaluation"]).toMatchObject({ labels: null, max_samples: null });
});

test("errors are found by the last part of their place", () => {
  const errors = errorsByPart([{ location: "evaluation.variants.0.model", message: "missing" }]);
  expect(errors.get("model")).toBe("missing");
});

test("every checkpoint is a variant in the order of steps, and never too many", () => {
  const checkpoints = Array.from({ length: 40 }, (_, place) => ({
    step: (place + 1) * 10,
    path: `/${place}`,
  }));
  const plan = { ...PLAN, adapter: "/39", checkpoints, everyCheckpoint: true };
  const names = variantsOf(plan).map(({ name }) => name);
  expect(names.length).toBeLessThanOrEqual(16);
  expect(names[0]).toBe("student before");
  expect(names.at(-1)).toBe("student at step 400");
  const steps = names.slice(1).map((name) => Number(name.split(" ").at(-1)));
  expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  const few = variantsOf({ ...plan, checkpoints: checkpoints.slice(0, 2), withBase: false });
  expect(few.map(({ name, adapter }) => [name, adapter])).toEqual([
    ["student at step 10", "/0"],
    ["student at step 20", "/1"],
  ]);
});

test("no more items are announced than the file has or the form allows", () => {
  expect(numItemsOf({ maxSamples: "" }, 200)).toBe(200);
  expect(numItemsOf({ maxSamples: "50" }, 200)).toBe(50);
  expect(numItemsOf({ maxSamples: "500" }, 200)).toBe(200);
});
