import { expect, test } from "vitest";
import type { RunSummary } from "@/api/types";
import { heldOutDistance } from "@/features/run/held-out";

const SUMMARY = { last: 1, first: 2, minimum: 1, maximum: 2 };

test("a run is read by the completions that its distances were measured on", () => {
  const metrics = (key: string) => ({ metrics: { [key]: SUMMARY } }) as unknown as RunSummary;
  expect(heldOutDistance(metrics("eval_reverse_kl")).reverseKl).toBe("eval_reverse_kl");
  const off = heldOutDistance(metrics("eval_off_policy_reverse_kl"));
  expect(off.agreement).toBe("eval_off_policy_agreement");
  expect(off.suffix).toContain("off-policy");
});
