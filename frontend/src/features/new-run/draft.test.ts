import { expect, test } from "vitest";
import { asCommand, asCurl, differences, settingOf, withSetting } from "@/features/new-run/draft";

const preset = {
  method: "on_policy",
  distillation: { num_steps: 100, prompts: null, lora: { rank: 8, targets: ["q_proj"] } },
};

test("a setting deep inside is replaced without touching the preset", () => {
  const changed = withSetting(preset, "distillation.lora.rank", 32);
  expect(settingOf(changed, "distillation.lora.rank")).toBe(32);
  expect(settingOf(changed, "distillation.num_steps")).toBe(100);
  expect(preset.distillation.lora.rank).toBe(8);
});

test("a setting that is not there is undefined, not an error", () => {
  expect(settingOf(preset, "sft.model")).toBeUndefined();
  expect(settingOf({}, "distillation.lora.rank")).toBeUndefined();
});

test("only what differs from the preset is listed", () => {
  const changed = withSetting(preset, "distillation.prompts", "my file.jsonl");
  expect(differences(preset, changed)).toEqual([
    { key: "distillation.prompts", preset: null, draft: "my file.jsonl" },
  ]);
  expect(differences(preset, preset)).toEqual([]);
});

test("the command names the preset and quotes what a shell would split", () => {
  const changed = withSetting(preset, "distillation.prompts", "it's mine.jsonl");
  expect(asCommand("default", differences(preset, changed))).toBe(
    "opd train default \\\n  --set 'distillation.prompts=it'\\''s mine.jsonl'",
  );
});

test("the request carries no token, only the name of its variable", () => {
  expect(asCurl("http://127.0.0.1:1", preset)).toContain('"Authorization: Bearer $OPD_TOKEN"');
});
