import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WEB_PREFERENCES } from "../../src/window-policy.js";
import * as electron from "./electron-double.js";
import { START_WITHIN_MS, until } from "./until.js";

vi.mock("electron", () => import("./electron-double.js"));

function shellWindow(): electron.BrowserWindow {
  const window = electron.BrowserWindow.all.at(-1);
  if (!window) {
    throw new Error("No window was opened.");
  }
  return window;
}

function pageUrl(): URL {
  return new URL(shellWindow().webContents.url);
}

async function call(channel: string, url: string, payload?: unknown): Promise<unknown> {
  const event = { senderFrame: { url, parent: null } };
  return electron.handlers.get(channel)?.(event, payload);
}

function choose(label: string): void {
  const items = electron.menu.items.flatMap(({ submenu }) => submenu ?? []);
  items.find((item) => item.label === label)?.click?.();
}

beforeAll(async () => {
  vi.stubEnv("OPD_WORKSPACE", join(electron.app.userData, "Übungs läufe"));
  await import("../../src/main.js");
  await until("the backend's page", () => pageUrl().protocol === "http:");
}, START_WITHIN_MS);

afterAll(() => rmSync(electron.app.userData, { recursive: true, force: true }));

test("one guarded window shows that the backend starts, then its page by the token", async () => {
  expect(electron.BrowserWindow.all).toHaveLength(1);
  expect(electron.app.isSandboxed).toBe(true);
  expect(shellWindow().options["webPreferences"]).toMatchObject(WEB_PREFERENCES);
  expect(shellWindow().loaded[0]).toMatch(/^file:.*\/pages\/starting\.html$/);
  const answer = await fetch(pageUrl(), { redirect: "manual" });
  expect([answer.status, answer.headers.get("location")]).toEqual([303, "/"]);
});

test("the page may go nowhere else, and only known links open outside", () => {
  const held: string[] = [];
  const go = (url: string) =>
    shellWindow().webContents.emit("will-navigate", { url, preventDefault: () => held.push(url) });
  go(`${pageUrl().origin}/runs`);
  go("https://huggingface.co/Qwen");
  go("https://evil.example/");
  expect(held).toEqual(["https://huggingface.co/Qwen", "https://evil.example/"]);
  const answer = shellWindow().webContents.windowOpenHandler?.({ url: "https://github.com/a" });
  expect(answer).toEqual({ action: "deny" });
  expect(electron.opened).toEqual(["https://huggingface.co/Qwen", "https://github.com/a"]);
});

test("the page gets no permission but copying", () => {
  const ask = (permission: string) => electron.grants[0]?.(null, permission, pageUrl().origin);
  expect(ask("clipboard-sanitized-write")).toBe(true);
  expect(ask("media")).toBe(false);
});

test("the page picks a file, and the next pick begins in its folder", async () => {
  const request = { title: "Validation file", extensions: ["jsonl"] };
  electron.picks.push({ canceled: false, filePaths: ["/data/Übungen/held out.jsonl"] });
  const { href } = pageUrl();
  expect(await call("page:pickFile", href, request)).toBe("/data/Übungen/held out.jsonl");
  expect(await call("page:pickFile", href, request)).toBeNull();
  expect(electron.pickOptions.map(({ defaultPath }) => defaultPath)).toEqual([
    undefined,
    "/data/Übungen",
  ]);
  await call("page:pickFile", href, { ...request, folder: "/data/chosen" });
  expect(electron.pickOptions.at(-1)?.defaultPath).toBe("/data/chosen");
});

test("calls from other pages, or with other payloads, are refused", async () => {
  const request = { title: "Validation file", extensions: ["jsonl"] };
  await expect(call("page:pickFile", "https://evil.example/", request)).rejects.toThrow("may not");
  await expect(call("page:pickFile", pageUrl().href, { title: "a" })).rejects.toThrow("keys");
  await expect(call("diagnostics:restart", pageUrl().href)).rejects.toThrow("may not");
});

test("the menu tells the page where to go", () => {
  choose("Runs");
  expect(shellWindow().webContents.sent).toEqual([["page:goTo", "/runs"]]);
});

test("a closed window is opened again with the page", () => {
  const { href } = pageUrl();
  shellWindow().emit("closed");
  electron.app.emit("activate");
  expect(electron.BrowserWindow.all).toHaveLength(2);
  expect(pageUrl().href).toBe(href);
});

test("quitting ends the backend first, last of all here", async () => {
  const { origin } = pageUrl();
  electron.app.quit();
  expect(electron.app.hasQuit).toBe(false);
  await until("the end of the app", () => electron.app.hasQuit);
  await expect(fetch(`${origin}/api/health`)).rejects.toThrow();
  const { stdout } = spawnSync("ps", ["-eo", "args"], { encoding: "utf8" });
  expect(stdout).not.toContain(electron.app.userData);
});
