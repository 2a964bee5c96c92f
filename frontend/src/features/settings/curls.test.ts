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
  const sort = { needed: [], body: null, sendsFile: null, isText: true, canBeTried: false };
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

test("one path may mean something else by a name, and nothing where there is none of the kind", () => {
  const known = {
    ...FROM.known,
    "/api/comparison run": ["a", "b"],
    "/api/models/{name} name": null,
  };
  const two = curlOf(endpoint({ path: "/api/comparison", needed: ["run"] }), { ...FROM, known });
  expect(wordsOf(two.command)[1]).toBe("http://127.0.0.1:1/api/comparison?run=a&run=b");
  const named = endpoint({ path: "/api/models/{name}" });
  expect(curlOf(named, { ...FROM, known: { ...known, name: "other" } }).blanks).toEqual(["NAME"]);
});

test("a file that is sent is left to the user", () => {
  const asked = endpoint({ method: "POST", path: "/api/bundles", sendsFile: "application/zip" });
  const { command, blanks } = curlOf(asked, FROM);
  expect(blanks).toEqual(["FILE"]);
  expect(wordsOf(command).slice(-3)).toEqual([
    "Content-Type: application/zip",
    "--data-binary",
    "@FILE",
  ]);
});

test("a command that replaces what is set proposes nothing of it", () => {
  const field = { name: "memory_gb", type: "number", isRequired: false, words: "" };
  const asked = endpoint({ method: "PUT", path: "/api/reserves", sent: [field], body: {} });
  const { command, blanks } = curlOf(asked, FROM);
  expect(wordsOf(command).slice(0, 3)).toEqual(["-s", "-X", "PUT"]);
  expect(blanks).toEqual(["MEMORY_GB"]);
});

test("an answer that is a file is kept as one", () => {
  const asked = endpoint({ path: "/api/runs/{run_id}/bundle", isText: false });
  expect(wordsOf(curlOf(asked, FROM).command).slice(-2)).toEqual(["-o", "bundle.zip"]);
});
