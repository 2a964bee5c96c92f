import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import type { Endpoint } from "@/api/endpoints";
import { curlOf } from "@/features/settings/curls";

const FROM = {
  origin: "http://127.0.0.1:1",
  tokens: { read: "reads", write: "writes" },
  known: { run_id: "it's one", variant: "student" },
};

function endpoint(change: Partial<Endpoint>): Endpoint {
  const told = { words: "", group: "runs", parameters: [], sent: [], answered: [] };
  const sort = { needed: [], body: null, isText: true, canBeTried: false };
  return { method: "GET", path: "/api/runs/{run_id}", scope: "read", ...told, ...sort, ...change };
}

/** What a shell hands to curl, word by word. */
function wordsOf(command: string): string[] {
  const script = `curl() { printf '%s\\n' "$@"; }; ${command}`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).trimEnd().split("\n");
}

test("what only reads is filled in with what is there and needs nothing from the user", () => {
  const { command, blanks } = curlOf(endpoint({ needed: ["variant"] }), FROM);
  expect(blanks).toEqual([]);
  expect(wordsOf(command)).toEqual([
    "-s",
    "http://127.0.0.1:1/api/runs/it's%20one?variant=student",
    "-H",
    "Authorization: Bearer reads",
  ]);
});

test("what changes something names nothing of the user's, and says what to fill in", () => {
  const body = { name: "NAME", count: 1 };
  const asked = endpoint({ method: "DELETE", scope: "write", body });
  const { command, blanks } = curlOf(asked, FROM);
  expect(blanks).toEqual(["RUN_ID", "NAME"]);
  expect(wordsOf(command)).toContain("http://127.0.0.1:1/api/runs/RUN_ID");
  expect(wordsOf(command)).toContain("Authorization: Bearer writes");
  expect(wordsOf(command).at(-1)).toBe(JSON.stringify(body));
});

test("an answer that is a file is kept as one", () => {
  const asked = endpoint({ path: "/api/runs/{run_id}/bundle", isText: false });
  expect(wordsOf(curlOf(asked, FROM).command).slice(-2)).toEqual(["-o", "bundle.zip"]);
});
