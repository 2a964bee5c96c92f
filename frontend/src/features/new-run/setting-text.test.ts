import { expect, test } from "vitest";
import { choiceInWords, parseSetting, unitBeside, wordsOf } from "@/features/new-run/setting-text";

const steps = { kind: "integer", nullable: false, title: "Optimizer steps", minimum: 1 } as const;
const rate = {
  kind: "number",
  nullable: false,
  title: "Learning rate",
  above: 0,
  maximum: 1,
} as const;

test("numbers are read in any spelling", () => {
  expect(parseSetting(rate, " 1e-5 ")).toEqual({ value: 0.00001 });
  expect(parseSetting(steps, "200")).toEqual({ value: 200 });
});

test("a number outside its range is refused with the range", () => {
  expect(parseSetting(steps, "0").mistake).toBe("At least 1.");
  expect(parseSetting(rate, "0").mistake).toBe("More than 0.");
  expect(parseSetting(rate, "2").mistake).toBe("At most 1.");
});

test("what is no number is refused in words", () => {
  expect(parseSetting(steps, "1.5").mistake).toBe("Type a whole number.");
  expect(parseSetting(rate, "1e-").mistake).toBe("Type a number.");
});

test("what is wrong is kept as it was typed, for the backend to refuse", () => {
  expect(parseSetting(rate, "abc").value).toBe("abc");
  expect(parseSetting(rate, "2").value).toBe(2);
  expect(parseSetting(steps, "").value).toBe("");
});

test("an empty box is null where the setting may be empty", () => {
  expect(parseSetting({ ...steps, nullable: true }, "")).toEqual({ value: null });
  expect(parseSetting(steps, "").mistake).toBe("Optimizer steps must not be empty.");
});

test("a list is written with commas and read back", () => {
  const field = { kind: "list", nullable: true, title: "Targets" } as const;
  expect(wordsOf(["q_proj", "v_proj"])).toBe("q_proj, v_proj");
  expect(parseSetting(field, "q_proj, v_proj").value).toEqual(["q_proj", "v_proj"]);
});

test("rewards are told by their kinds, with a weight where it is not 1", () => {
  const rewards = [
    { kind: "exact", weight: 1, file: null },
    { kind: "length", weight: 0.5 },
  ];
  expect(wordsOf([...rewards, { kind: "boxed" }])).toBe("exact, length × 0.5, boxed");
});

test("several teachers are told by name and by who they are", () => {
  const teachers = [
    { name: "math", model: "qwen3-8b" },
    { name: "self", model: null, student_copy: { refresh_every: 20 } },
  ];
  expect(wordsOf(teachers)).toBe("math: qwen3-8b, self: copy of the student, new every 20 steps");
});

test("choices are read as words, and names keep their letters", () => {
  const choices = ["reverse_kl", "jsd", "by_teacher", "vllm", "on_policy", "int8"];
  expect(choices.map(choiceInWords)).toEqual([
    "Reverse KL",
    "JSD",
    "By teacher",
    "vLLM",
    "On policy",
    "int8",
  ]);
});

test("a unit that the title has in it is not said again", () => {
  expect(unitBeside({ title: "Optimizer steps", unit: "steps" })).toBeUndefined();
  expect(unitBeside({ title: "Longest completion", unit: "tokens" })).toBe("tokens");
  expect(unitBeside({ title: "Seed", unit: "" })).toBeUndefined();
});
