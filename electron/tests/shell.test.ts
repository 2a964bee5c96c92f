import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { dockProgress, hear, QUIET, shouldBlockSuspension } from "../src/activity.js";
import { parseReady } from "../src/backend-process.js";
import { describeEnding, diagnose } from "../src/diagnosis.js";
import { placesOf } from "../src/launch.js";
import { LogRing } from "../src/log-ring.js";
import { menuTemplate } from "../src/menu-template.js";
import {
  isFromDiagnostics,
  isFromPage,
  readNotice,
  readPath,
  readPickRequest,
} from "../src/payloads.js";
import { choiceOf, leave, runAtWork } from "../src/quit.js";
import { Remembered } from "../src/remembered.js";
import { mayRestart, RESTART_WINDOW_MS } from "../src/supervisor.js";
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
  const inFolder = { title: "a", extensions: [], folder: "/tmp/ü b" };
  expect(readPickRequest(inFolder)).toEqual(inFolder);
  expect(() => readPickRequest({ ...inFolder, folder: "relative" })).toThrow();
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
  const page = "file:///A/pages/diagnostics.html";
  expect(isFromDiagnostics({ url: page, isTop: true }, page)).toBe(true);
  expect(isFromDiagnostics({ url: `${page}/../other.html`, isTop: true }, page)).toBe(false);
  expect(isFromDiagnostics({ url: page, isTop: false }, page)).toBe(false);
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

test("folder and port are remembered over restarts, and a damaged file is no hindrance", () => {
  const userData = join(mkdtempSync(join(tmpdir(), "opd memory ä ")), "new");
  expect(new Remembered(userData).read()).toEqual({ folder: null, port: 0 });
  new Remembered(userData).remember({ folder: "/data/Übungen" });
  new Remembered(userData).remember({ port: 4321 });
  expect(new Remembered(userData).read()).toEqual({ folder: "/data/Übungen", port: 4321 });
  writeFileSync(join(userData, "shell.json"), '{"port": 80, "folder": 5}');
  expect(new Remembered(userData).read()).toEqual({ folder: null, port: 0 });
  writeFileSync(join(userData, "shell.json"), "{");
  expect(new Remembered(userData).read()).toEqual({ folder: null, port: 0 });
});

test("restarts count for two minutes, and as long as nothing served since", () => {
  expect(mayRestart([10, 11, 12], 5, 13)).toBe(false);
  expect(mayRestart([10, 11], 5, 13)).toBe(true);
  expect(mayRestart([10, 11, 12], 13, 10 + RESTART_WINDOW_MS)).toBe(true);
  expect(mayRestart([10, 11, 12], 5, 10 + RESTART_WINDOW_MS)).toBe(false);
});

test("only the ready line is taken for it", () => {
  expect(parseReady('{"ready":true,"port":1,"pid":2,"instance":"i"}')).toEqual({
    port: 1,
    pid: 2,
    instance: "i",
  });
  for (const line of ["", "{", "{}", '{"ready":true,"port":"1","pid":2,"instance":"i"}']) {
    expect(parseReady(line)).toBeNull();
  }
});

test("the log keeps the last lines, and torn ones whole", () => {
  const log = new LogRing(2);
  log.write("a\nb");
  log.write("c\nd\ne");
  expect(log.lines).toEqual(["bc", "d", "e"]);
});

const leaving = { run: "Dates", ask: async () => 0, stop: async () => true, tell: () => undefined };

test("quitting asks only while a run is at work, and pauses it where wished", async () => {
  const asked: string[] = [];
  const stops: string[] = [];
  const quit = (run: string | null, button: number) =>
    leave({
      ...leaving,
      run,
      ask: async ({ message }) => {
        asked.push(message);
        return button;
      },
      stop: async (runs) => {
        stops.push(runs);
        return true;
      },
    });
  expect(await quit(null, 0)).toBe(true);
  expect(asked).toEqual([]);
  expect([await quit("Dates", 0), await quit("Dates", 1), await quit("Dates", 2)]).toEqual([
    true,
    true,
    false,
  ]);
  expect(asked).toEqual(Array(3).fill("“Dates” is still training."));
  expect(stops).toEqual(["keep", "keep", "pause"]);
});

test("a run that could not be paused keeps the app open and says so", async () => {
  const told: string[] = [];
  const tell = (title: string) => told.push(title);
  const mayQuit = await leave({ ...leaving, ask: async () => 1, stop: async () => false, tell });
  expect([mayQuit, told]).toEqual([false, ["The run could not be paused"]]);
});

test("the run at work is known by its name", () => {
  const runs = new Map([["r", { name: "Dates", state: "running", step: 1, num_steps: 2 }]]);
  expect(runAtWork({ runs, activeRun: "r" })).toBe("Dates");
  expect(runAtWork({ runs, activeRun: "s" })).toBe("s");
  expect(runAtWork({ runs, activeRun: null })).toBeNull();
});

test("the menu goes to every place of the screen's rail", () => {
  const rail = readFileSync(
    resolve(import.meta.dirname, "../../frontend/src/app/navigation.ts"),
    "utf8",
  );
  const places = [...rail.matchAll(/\{ to: "([^"]+)"/g)].map(([, path]) => path);
  const gone: string[] = [];
  const items = menuTemplate((path) => gone.push(path)).flatMap(({ submenu }) => submenu ?? []);
  for (const item of items) {
    item.click?.();
  }
  expect(new Set(gone)).toEqual(new Set(places));
});

test("no two items of the menu have the same shortcut, and none takes the page's own", () => {
  const items = menuTemplate(() => undefined).flatMap(({ submenu }) => submenu ?? []);
  const keys = items.flatMap(({ accelerator }) => accelerator ?? []);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys).not.toContain("CmdOrCtrl+K");
});

test("a package has its own Python, a checkout its .venv", () => {
  const machine = { kernel: "25.2.0", chip: "Apple M5", wish: "" };
  const packaged = placesOf({ isPackaged: true, app: "/A/app.asar", resources: "/A", machine });
  expect(packaged).toMatchObject({
    command: ["/A/python/bin/python3", "-m", "backend"],
    environment: { PYTHONSAFEPATH: "1", PYTHONPATH: "/A/mlx-accelerated" },
    preload: "/A/app.asar/dist/preload.cjs",
    diagnosticsPage: "file:///A/pages/diagnostics.html",
  });
  const checkout = placesOf({
    isPackaged: false,
    app: "/my code/electron",
    resources: "/x",
    machine,
  });
  expect(checkout.environment).toEqual({});
  expect(checkout).toMatchObject({
    command: ["/my code/.venv/bin/python", "-m", "backend"],
    folder: "/my code",
    diagnosticsPage: "file:///my%20code/electron/pages/diagnostics.html",
  });
});

test("an ending is said in words", () => {
  expect(describeEnding({ code: 2, signal: null, error: null })).toContain("exit code 2");
  expect(describeEnding({ code: null, signal: "SIGKILL", error: null })).toContain("memory");
  const ending = { code: 1, signal: null, error: null };
  const log = Array.from({ length: 300 }, (_, line) => String(line));
  const shown = diagnose({ kind: "failed", ending }, log);
  expect(shown.detail).toContain("exit code 1");
  expect([shown.log.length, shown.log.at(-1)]).toEqual([200, "299"]);
});

test("the diagnostics page loads nothing from elsewhere", () => {
  const page = readFileSync(resolve(import.meta.dirname, "../pages/diagnostics.html"), "utf8");
  expect(page).toContain("default-src 'none'");
  expect(page).not.toMatch(/https?:|unsafe-/);
});
