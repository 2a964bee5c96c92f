import { expect, test } from "vitest";
import { configOf, EMPTY_PLAN, errorsByPart, variantsOf } from "@/features/evaluate/plan";

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

test("labels are separated by commas and blanks are none", () => {
  const config = configOf({ ...PLAN, labels: " de, en ,", maxSamples: "10" });
  expect(config["evaluation"]).toMatchObject({ labels: ["de", "en"], max_samples: 10 });
  expect(configOf(PLAN)["evaluation"]).toMatchObject({ labels: null, max_samples: null });
});

test("errors are found by the last part of their place", () => {
  const errors = errorsByPart([{ location: "evaluation.variants.0.model", message: "missing" }]);
  expect(errors.get("model")).toBe("missing");
});
