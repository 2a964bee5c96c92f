import { expect, test } from "vitest";
import type { Difference } from "@/api/types";
import { measuredRows, measuredSentence } from "@/features/export/measured";

const figure = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });

const LOST: Difference = {
  source: "8 conversations of held_out.jsonl.",
  num_prompts: 8,
  num_tokens: 90,
  kl: figure(0.12),
  base_loss: figure(12.9),
  adapter_loss: figure(11.7),
  export_loss: figure(12.6),
  loss_change: figure(0.9),
  kept_share: figure(0.25),
  accuracy: null,
  is_lossy: true,
};

test("the files' own loss stands beside the adapter's and the base model's", () => {
  const [row] = measuredRows(LOST);
  expect(row).toEqual({
    name: "Loss, nats a token",
    base: "12.9 (12.8 to 13)",
    adapter: "11.7 (11.6 to 11.8)",
    files: "12.6 (12.5 to 12.7)",
  });
  expect(measuredSentence(LOST)).toContain("Kept of the adapter's gain: 25.0 %");
});

test("accuracy is shown where prompts have answers, and no share where nothing was gained", () => {
  const accuracy = {
    base: figure(0.2),
    adapter: figure(0.6),
    export: figure(0.5),
    change: figure(-0.1),
    num_graded: 40,
  };
  const rows = measuredRows({ ...LOST, accuracy, kept_share: null });
  expect(rows.map((row) => row.name)).toEqual(["Loss, nats a token", "Accuracy"]);
  expect(rows[1]?.files).toBe("50.0 % (40.0 to 60.0)");
  expect(measuredSentence({ ...LOST, kept_share: null })).toContain("gains nothing here");
});
