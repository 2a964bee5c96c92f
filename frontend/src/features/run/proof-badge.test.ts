import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import type { Check } from "@/api/types";
import { ProofBadge, ProofTable } from "@/features/run/proof-badge";

const CHECK: Check = {
  name: "logprobs_match",
  claim: "Sampled equals re-scored.",
  passed: true,
  measured: 0.027,
  limit: 0.094,
  bound: "at_most",
  figures: { p99: 0.114, max: 0.141 },
  advice: "",
};

test("a claim is shown with everything that was measured for it", () => {
  const shown = renderToStaticMarkup(createElement(ProofTable, { checks: [CHECK] }));
  for (const text of ["0.027", "≤ ", "0.094", "p99 0.114", "max 0.141"]) {
    expect(shown).toContain(text);
  }
});

test("a failed claim is shown with its advice, also where it came out as no number", () => {
  const failed = { ...CHECK, passed: false, measured: null, advice: "Check top_p." };
  const shown = renderToStaticMarkup(createElement(ProofTable, { checks: [failed] }));
  expect(shown).toContain("Check top_p.");
  expect(shown).toContain("no number");
});

test("a run that is over does not promise a proof that never comes", () => {
  const shown = (isOver: boolean) =>
    renderToStaticMarkup(createElement(ProofBadge, { passed: null, checks: [], isOver }));
  expect(shown(false)).toContain("not run yet");
  expect(shown(true)).toContain("Without proof of learning");
  expect(shown(true)).not.toContain("yet");
});
