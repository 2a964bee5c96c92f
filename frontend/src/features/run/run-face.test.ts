import { expect, test } from "vitest";
import type { RunDetail } from "@/api/types";
import { faceOf, whatHappens } from "@/features/run/run-face";

function detail(method: string, config: unknown = null): RunDetail {
  const run = { method, student: "small", teacher: method === "sft" ? null : "large" };
  return { run, config } as unknown as RunDetail;
}

function prompted(training: string): RunDetail {
  const config = { method: "prompt_distillation", prompt_distillation: { training } };
  return detail("prompt_distillation", config);
}

function metricsOf(of: RunDetail): string[] {
  const face = faceOf(of);
  return [face.main?.metrics ?? [], ...face.small].flat().map(({ key }) => key);
}

test.each([
  ["sft", detail("sft")],
  ["prompt distillation on answers", prompted("sft")],
  ["an evaluation", detail("evaluation")],
])("%s speaks of no divergence and shows no rollouts", (_, of) => {
  expect(metricsOf(of).join()).not.toMatch(/divergence|kl|agreement|teacher/);
  expect(faceOf(of).tabs).not.toContain("rollouts");
  expect(faceOf(of).proves).toBe(false);
});

test("a teacher that scores is shown as one", () => {
  for (const of of [detail("on_policy"), prompted("on_policy")]) {
    expect(metricsOf(of)).toContain("divergence");
    expect(faceOf(of).tabs).toContain("rollouts");
    expect(faceOf(of).proves).toBe(true);
  }
});

test("only prompt distillation has stages, and generates only what is learned", () => {
  expect(faceOf(detail("on_policy")).stages).toEqual([]);
  expect(faceOf(prompted("sft")).stages).toEqual(["generate", "train", "evaluate"]);
  expect(faceOf(prompted("on_policy")).stages).toEqual(["train", "evaluate"]);
});

test("who learns from whom is said in words", () => {
  expect(whatHappens(detail("sft").run)).toBe("small learns from conversations");
  expect(whatHappens(detail("on_policy").run)).toBe("small learns from large");
  expect(whatHappens(detail("evaluation").run)).not.toContain("learns");
});

test("a training curve of softened models says its temperature", () => {
  const labels = (temperature: number) =>
    faceOf(detail("on_policy", { method: "on_policy", distillation: { temperature } }))
      .main?.metrics.map(({ label }) => label)
      .join();
  expect(labels(2)).toBe("Training, T = 2,Held-out reverse KL,Held-out reverse KL, off-policy");
  expect(labels(1)).toBe("Training,Held-out reverse KL,Held-out reverse KL, off-policy");
});
