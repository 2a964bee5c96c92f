import { expect, test } from "vitest";
import type { ExportOptions } from "@/api/types";
import { expectedBytes, loadsModel, suggestName } from "@/features/export/forms";

const OPTIONS: ExportOptions = {
  run_id: "r",
  checkpoint: 5,
  checkpoints: [5],
  best: 5,
  base_model: "m",
  num_parameters: 1_000_000,
  forms: [{ form: "fused", obstacle: null, num_bytes: 2_000_000 }],
  card: "",
  blocked: "",
};

test("a packed model weighs its bits and each group's scale and bias", () => {
  expect(expectedBytes(OPTIONS, "quantized", { bits: 4, groupSize: 64 })).toBe(562_500);
  expect(expectedBytes(OPTIONS, "fused", { bits: 4, groupSize: 64 })).toBe(2_000_000);
});

test("a suggested name is one the backend takes, and never one that is taken", () => {
  const name = suggestName("Dates, übung (2)", 75, "fused", []);
  expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/);
  expect(suggestName("Dates, übung (2)", 75, "fused", [name])).toBe(`${name}-2`);
  expect(suggestName("日本", 1, "gguf", [])).toBe("student-1-gguf");
});

test("the adapter's own forms leave without loading the model", () => {
  expect((["adapter", "peft", "fused", "gguf"] as const).map(loadsModel)).toEqual([
    false,
    false,
    true,
    true,
  ]);
});
