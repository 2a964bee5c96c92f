import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { examplesOf, quoted } from "@/features/settings/examples";

test("whatever a run is called, the shell hands it on as it is", () => {
  const name = `it's "$HOME" \\ \`date\` and more`;
  expect(execFileSync("sh", ["-c", `printf %s ${quoted(name)}`], { encoding: "utf8" })).toBe(name);
  const examples = examplesOf({ origin: "http://127.0.0.1:1", token: "t", model: name });
  const chat = examples.find(({ title }) => title === "Chat with a student")?.command ?? "";
  const words = execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${chat}`], {
    encoding: "utf8",
  }).split("\n");
  expect(words).toContain("Authorization: Bearer t");
  const sent = words.find((word) => word.startsWith("{")) ?? "";
  expect(JSON.parse(sent).model).toBe(name);
});
