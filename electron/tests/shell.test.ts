import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { dockProgress, hear, QUIET, shouldBlockSuspension } from "../src/activity.js";
import { isFromPage, readNotice, readPath, readPickRequest } from "../src/bridge.js";
import { describeEnding } from "../src/diagnosis.js";
import { RememberedFolder } from "../src/picker.js";
import { choiceOf } from "../src/quit.js";
import { mayNavigate, mayOpenOutside, mayUse, WEB_PREFERENCES } from "../src/window-policy.js";

const HOME = "http://127.0.0.1:4321";

test("the window shows the backend's own origin only", () => {
  expect(mayNavigate(`${HOME}/runs?q=a`, HOME)).toBe(true);
  for (const url of [
    "http://127.0.0.1:4322/",
    "http://localhost:4321/",
    "http://127.0.0.1:4321@evil.example/",
    "https://127.0.0.1:4321/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "nonsense",
  ]) {
    expect(mayNavigate(url, HOME), url).toBe(false);
  }
});

test("only https links to known places open outside", () => {
  expect(mayOpenOutside("https://huggingface.co/Qwen")).toBe(true);
  for (const url of [
    "http://huggingface.co/",
    "https://huggingface.co.evil.example/",
    "https://a:b@github.com/",
    "https://github.com:8443/",
    "file:///Applications",
  ]) {
    expect(mayOpenOutside(url), url).toBe(false);
  }
});

test("only copying is granted, to the page alone", () => {
  expect(mayUse("clipboard-sanitized-write", `${HOME}/`, HOME)).toBe(true);
  expect(mayUse("clipboard-sanitized-write", "https://evil.example/", HOME)).toBe(false);
  expect(mayUse("media", `${HOME}/`, HOME)).toBe(false);
});

test("windows are created with every guard on", () => {
  expect(WEB_PREFERENCES).toMatchObject({
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    webSecurity: true,
    webviewTag: false,
  });
});

test("calls with other payloads than the contract's are refused", () => {
  expect(readPickRequest({ title: "a", extensions: ["jsonl"] }).extensions).toEqual(["jsonl"]);
  for (const payload of [null, [], {}, { title: "a", extensions: ["*/.."] }, { title: "a" }]) {
    expect(() => readPickRequest(payload)).toThrow();
  }
  expect(() => readNotice({ title: "a", body: "b", more: 1 })).toThrow();
  expect(() => readNotice({ title: "a", body: "b".repeat(501) })).toThrow();
  expect(readPath("/tmp/ü b")).toBe("/tmp/ü b");
  for (const path of ["relative", "", 5, "/a\0b"]) {
    expect(() => readPath(path)).toThrow();
  }
});

test("calls come from the page's top frame only", () => {
  expect(isFromPage({ url: `${HOME}/runs`, isTop: true }, HOME)).toBe(true);
  expect(isFromPage({ url: `${HOME}/runs`, isTop: false }, HOME)).toBe(false);
  expect(isFromPage({ url: "https://evil.example/", isTop: true }, HOME)).toBe(false);
  expect(isFromPage({ url: `${HOME}/`, isTop: true }, null)).toBe(false);
});

test("the dock follows the active run, and its end is told once", () => {
  const run = (state: string, step: number) =>
    JSON.stringify({
      kind: "run",
      run: { run_id: "r", name: "Dates", state, step, num_steps: 10 },
    });
  const queue = (active: object | null) => JSON.stringify({ kind: "queue", queue: { active } });
  let { activity } = hear(QUIET, queue({ run_id: "r" }));
  expect(dockProgress(activity)).toBe(2);
  ({ activity } = hear(activity, run("running", 5)));
  expect(dockProgress(activity)).toBe(0.5);
  expect(shouldBlockSuspension(activity)).toBe(true);
  const end = hear(activity, run("finished", 10));
  expect(end.notice).toEqual({ title: "Dates", body: "The run has finished." });
  expect(hear(end.activity, run("finished", 10)).notice).toBeNull();
  const idle = hear(end.activity, queue(null)).activity;
  expect([dockProgress(idle), shouldBlockSuspension(idle)]).toEqual([-1, false]);
});

test("closing the quit dialog cancels", () => {
  expect([0, 1, 2, -1].map(choiceOf)).toEqual(["keep", "pause", "cancel", "cancel"]);
});

test("the picker remembers its folder over restarts and survives a damaged file", () => {
  const folder = mkdtempSync(join(tmpdir(), "opd picker ä "));
  expect(new RememberedFolder(folder).folder).toBeNull();
  new RememberedFolder(folder).remember("/data/Übungen");
  expect(new RememberedFolder(folder).folder).toBe("/data/Übungen");
  writeFileSync(join(folder, "picker.json"), "{");
  expect(new RememberedFolder(folder).folder).toBeNull();
});

test("an ending is said in words", () => {
  expect(describeEnding({ code: 2, signal: null, error: null })).toContain("exit code 2");
  expect(describeEnding({ code: null, signal: "SIGKILL", error: null })).toContain("memory");
});

test("the diagnostics page loads nothing from elsewhere", () => {
  const page = readFileSync(resolve(import.meta.dirname, "../pages/diagnostics.html"), "utf8");
  expect(page).toContain("default-src 'none'");
  expect(page).not.toMatch(/https?:|unsafe-/);
});
