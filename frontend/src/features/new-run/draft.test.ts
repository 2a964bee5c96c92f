import { expect, test } from "vitest";
import type { Preset } from "@/api/types";
import {
  asCommand,
  asCurl,
  differences,
  isBegun,
  settingOf,
  useDraft,
  valueIn,
  withSetting,
} from "@/features/new-run/draft";

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
    { key: "distillation.prompts", source: null, draft: "my file.jsonl" },
  ]);
  expect(differences(preset, preset)).toEqual([]);
});

test("the command names the preset and quotes what a shell would split", () => {
  const changed = withSetting(preset, "distillation.prompts", "it's mine.jsonl");
  expect(asCommand("default", differences(preset, changed))).toBe(
    "opd train default \\\n  --set 'distillation.prompts=it'\\''s mine.jsonl'",
  );
});

test.each([
  ["null", '"null"'],
  ["12", '"12"'],
  ["yes", '"yes"'],
  ["demo: dates", '"demo: dates"'],
  ["# 1", '"# 1"'],
  [0.003, "0.003"],
  [["a b", "c"], '["a b","c"]'],
  [null, "null"],
])("the command line reads %j as it is", (value, written) => {
  const changed = [{ key: "sft.run_name", source: null, draft: value }];
  const bare = /^[\w.]+$/.test(written);
  expect(asCommand("sft", changed)).toBe(
    `opd train sft \\\n  --set ${bare ? `sft.run_name=${written}` : `'sft.run_name=${written}'`}`,
  );
});

test("a method's draft is set aside and found again", () => {
  useDraft.setState({ others: {} });
  const of = (method: string, name: string) =>
    ({ name, config: { method, [method]: { seed: 0 } } }) as unknown as Preset;
  const draft = () => useDraft.getState();
  draft().take(of("on_policy", "default"));
  draft().set("on_policy.seed", 7);
  draft().turnTo(of("sft", "plain"));
  expect(draft().preset).toBe("plain");
  expect(draft().config).toEqual({ method: "sft", sft: { seed: 0 } });
  draft().turnTo(of("on_policy", "another"));
  expect(draft().preset).toBe("default");
  expect(settingOf(draft().config, "on_policy.seed")).toBe(7);
  draft().turnTo(of("on_policy", "another"));
  expect(draft().preset).toBe("default");
});

test("an empty setting is not its default", () => {
  const field = { key: "distillation.eval_prompts", default: 64 };
  expect(valueIn({ distillation: { eval_prompts: null } }, field)).toBeNull();
  expect(valueIn({ distillation: {} }, field)).toBe(64);
});

test("the request carries no token, only the name of its variable", () => {
  expect(asCurl("http://127.0.0.1:1", preset)).toContain('"Authorization: Bearer $OPD_TOKEN"');
});

test("a draft that begins with a run differs from that run, and the planned one is kept aside", () => {
  const draft = useDraft.getState();
  const config = { method: "sft", sft: { seed: 1 } };
  draft.copy({ id: "r", name: "first", folder: "/w s/runs/r", config });
  useDraft.getState().set("sft.seed", 2);
  const now = useDraft.getState();
  expect(isBegun(now)).toBe(true);
  expect(now.preset).toBeNull();
  const changed = differences(now.copied?.config ?? {}, now.config);
  expect(changed).toEqual([{ key: "sft.seed", source: 1, draft: 2 }]);
  expect(asCommand(`${now.copied?.folder}/config.yaml`, changed)).toBe(
    "opd train '/w s/runs/r/config.yaml' \\\n  --set sft.seed=2",
  );
  now.copy({ id: "q", name: "second", folder: "/q", config: { method: "grpo", grpo: {} } });
  expect(useDraft.getState().others["sft"]?.copied?.name).toBe("first");
  useDraft.getState().clear();
  useDraft.setState({ others: {} });
  expect(isBegun(useDraft.getState())).toBe(false);
});

test("what the page would begin with never replaces what the user chose meanwhile", () => {
  const named = (name: string) => ({ name, config: { method: "on_policy" } }) as unknown as Preset;
  const { begin, take, clear } = useDraft.getState();
  clear();
  take(named("mine"));
  begin(named("recommended"));
  expect(useDraft.getState().preset).toBe("mine");
  clear();
  begin(named("recommended"));
  expect(useDraft.getState().preset).toBe("recommended");
});

test("a draft that no method knows is dropped, and one chosen meanwhile is kept", () => {
  const { begin, clear, dropForeign } = useDraft.getState();
  clear();
  begin({ name: "old", config: { method: "gone" } } as unknown as Preset);
  dropForeign((config) => config["method"] === "gone");
  expect(useDraft.getState().preset).toBe("old");
  dropForeign((config) => config["method"] === "on_policy");
  expect(useDraft.getState().preset).toBeNull();
});
