/** Reads the shell's sources and configuration and fails when a guard is missing or weakened. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

type Files = Readonly<Record<string, string>>;

interface Rule {
  readonly says: string;
  readonly holds: (files: Files) => boolean;
}

/** The files that decide how safe the shell is, by their path. */
function readFiles(): Files {
  const sources = readdirSync(join(ROOT, "src")).map((name) => `src/${name}`);
  const pages = readdirSync(join(ROOT, "pages")).map((name) => `pages/${name}`);
  const config = ["electron-builder.json", "build-resources/entitlements.mac.plist"];
  return Object.fromEntries(
    [...sources, ...pages, ...config].map((path) => [path, readFileSync(join(ROOT, path), "utf8")]),
  );
}

function count(files: Files, pattern: RegExp, folder = "src/"): number {
  return Object.entries(files)
    .filter(([path]) => path.startsWith(folder))
    .reduce((sum, [, text]) => sum + [...text.matchAll(new RegExp(pattern, "g"))].length, 0);
}

function has(path: string, pattern: RegExp): (files: Files) => boolean {
  return (files) => pattern.test(files[path] ?? "");
}

function never(pattern: RegExp, folder = "src/"): (files: Files) => boolean {
  return (files) => count(files, pattern, folder) === 0;
}

const FLAGS = {
  sandbox: true,
  contextIsolation: true,
  nodeIntegration: false,
  nodeIntegrationInWorker: false,
  nodeIntegrationInSubFrames: false,
  webSecurity: true,
  allowRunningInsecureContent: false,
  webviewTag: false,
  navigateOnDragDrop: false,
} as const;

const FUSES = {
  runAsNode: false,
  enableCookieEncryption: true,
  enableNodeOptionsEnvironmentVariable: false,
  enableNodeCliInspectArguments: false,
  enableEmbeddedAsarIntegrityValidation: true,
  onlyLoadAppFromAsar: true,
  grantFileProtocolExtraPrivileges: false,
} as const;

const REFUSED_ENTITLEMENTS =
  /get-task-allow|allow-dyld-environment|allow-unsigned-executable|disable-executable-page/;

const RULES: readonly Rule[] = [
  ...Object.entries(FLAGS).map(([flag, value]) => ({
    says: `windows are created with ${flag}: ${value}`,
    holds: (files: Files) =>
      count(files, new RegExp(`\\b${flag}\\b["']?\\s*[:=]`)) === 1 &&
      has("src/window-policy.ts", new RegExp(`\\b${flag}: ${value},`))(files),
  })),
  {
    says: "there is one place that makes windows, with these preferences last but the preload",
    holds: (files) =>
      count(files, /new (BrowserWindow|BaseWindow|WebContentsView|BrowserView)\b/) === 1 &&
      has(
        "src/shell-window.ts",
        /webPreferences: \{ \.\.\.WEB_PREFERENCES, preload: this\.#preload \},/,
      )(files),
  },
  { says: "every renderer is sandboxed", holds: has("src/main.ts", /^app\.enableSandbox\(\);$/m) },
  { says: "pages are guarded", holds: has("src/main.ts", /^guardPages\(backend\);$/m) },
  {
    says: "permissions are guarded before the window opens",
    holds: has(
      "src/main.ts",
      /guardPermissions\(session\.defaultSession, backend\);[\s\S]*\.open\(\)/,
    ),
  },
  ...["will-navigate", "will-redirect", "will-frame-navigate", "will-attach-webview"].map(
    (event) => ({
      says: `${event} is held`,
      holds: has("src/guard.ts", new RegExp(`contents\\.on\\("${event}", `)),
    }),
  ),
  {
    says: "no page opens a window",
    holds: (files) =>
      has("src/guard.ts", /setWindowOpenHandler/)(files) &&
      has("src/guard.ts", /action: "deny"/)(files) &&
      never(/action: "allow"/)(files),
  },
  ...["PermissionRequestHandler", "PermissionCheckHandler", "DevicePermissionHandler"].map(
    (handler) => ({
      says: `set${handler} is used`,
      holds: has("src/guard.ts", new RegExp(`session\\.set${handler}\\(`)),
    }),
  ),
  {
    says: "links go outside through the allow-list only",
    holds: (files) =>
      count(files, /openExternal\(/) === 1 &&
      has(
        "src/guard.ts",
        /if \(mayOpenOutside\(url\)\) \{\s+void shell\.openExternal\(url\);/,
      )(files),
  },
  {
    says: "every call checks its sender first",
    holds: (files) =>
      count(files, /ipcMain\.(handle|on|once|handleOnce)\(/) === 2 &&
      count(files, /ipcMain\.handle\([\s\S]*?=> \{\s+refuseUnless\(isFrom(Page|Diagnostics)\(/) ===
        2,
  },
  {
    says: "the preload hands out named calls, never Electron's own objects",
    holds: (files) =>
      count(files, /exposeInMainWorld\(/) === 2 &&
      has("src/preload.ts", /exposeInMainWorld\("opdDiagnostics", diagnostics\)/)(files) &&
      has("src/preload.ts", /exposeInMainWorld\("opd", page\)/)(files) &&
      never(/ipcRenderer\.(send|sendSync|postMessage)\b|ipcRenderer\s*[,}]\s*\)/)(files) &&
      never(/from "node:/, "src/preload.ts")(files),
  },
  {
    says: "no switch or remote module weakens Chromium",
    holds: never(
      /appendSwitch|appendArgument|@electron\/remote|executeJavaScript|insecure|bypassCSP/,
    ),
  },
  {
    says: "the shell's own pages load nothing from elsewhere",
    holds: (files) =>
      never(/https?:|unsafe-|innerHTML/, "pages/")(files) &&
      count(files, /content="default-src 'none';[^"]*form-action 'none'"/, "pages/") ===
        count(files, /<!doctype html>/, "pages/"),
  },
  ...Object.entries(FUSES).map(([fuse, value]) => ({
    says: `the fuse ${fuse} is ${value}`,
    holds: (files: Files) => {
      const config = JSON.parse(files["electron-builder.json"] ?? "{}") as {
        electronFuses?: Record<string, unknown>;
      };
      return config.electronFuses?.[fuse] === value;
    },
  })),
  {
    says: "the app is sealed: asar and hardened runtime",
    holds: (files) => {
      const config = JSON.parse(files["electron-builder.json"] ?? "{}") as {
        asar?: unknown;
        mac?: { hardenedRuntime?: unknown };
      };
      return config.asar === true && config.mac?.hardenedRuntime === true;
    },
  },
  {
    says: "no entitlement lets others into the process",
    holds: never(REFUSED_ENTITLEMENTS, "build-resources/"),
  },
];

function broken(files: Files): string[] {
  return RULES.filter(({ holds }) => !holds(files)).map(({ says }) => says);
}

test("every guard of the shell is in place", () => {
  expect(broken(readFiles())).toEqual([]);
});

const WEAKENINGS: readonly (readonly [path: string, from: string | RegExp, to: string])[] = [
  ...Object.entries(FLAGS).map(
    ([flag, value]) => ["src/window-policy.ts", `${flag}: ${value}`, `${flag}: ${!value}`] as const,
  ),
  ["src/shell-window.ts", "...WEB_PREFERENCES, preload", "preload"],
  ["src/shell-window.ts", "preload: this.#preload }", "preload: this.#preload, sandbox: false }"],
  ["src/main.ts", "app.enableSandbox();", ""],
  ["src/main.ts", "guardPages(backend);", ""],
  ["src/main.ts", "  guardPermissions(session.defaultSession, backend);", ""],
  [
    "src/main.ts",
    "app.enableSandbox();",
    'app.enableSandbox();\napp.commandLine.appendSwitch("x");',
  ],
  ["src/guard.ts", '"will-navigate"', '"did-navigate"'],
  ["src/guard.ts", '"will-redirect"', '"did-redirect"'],
  ["src/guard.ts", '"will-frame-navigate"', '"did-frame-navigate"'],
  ["src/guard.ts", '"will-attach-webview"', '"did-attach-webview"'],
  ["src/guard.ts", 'action: "deny"', 'action: "allow"'],
  ["src/guard.ts", "if (mayOpenOutside(url)) {", "{"],
  ["src/guard.ts", "session.setPermissionCheckHandler(", "ignore("],
  ["src/calls.ts", "refuseUnless(isFromPage(senderOf(event), context.backend()));", ""],
  ["src/calls.ts", /refuseUnless\(isFromDiagnostics\(.*\)\);/, ""],
  ["src/preload.ts", '("opd", page)', '("opd", { ...page, ipcRenderer })'],
  ["pages/diagnostics.html", "default-src 'none'", "default-src *"],
  ["pages/diagnostics.html", "diagnostics.js", "https://example.org/diagnostics.js"],
  ...Object.entries(FUSES).map(
    ([fuse, value]) =>
      ["electron-builder.json", `"${fuse}": ${value}`, `"${fuse}": ${!value}`] as const,
  ),
  ["electron-builder.json", '"hardenedRuntime": true', '"hardenedRuntime": false'],
  ["build-resources/entitlements.mac.plist", "allow-jit", "get-task-allow"],
];

test.each(WEAKENINGS)("a weakened %s is noticed: %s", (path, from, to) => {
  const files = readFiles();
  const weakened = files[path]?.replace(from, to) ?? "";
  expect(weakened).not.toBe(files[path]);
  expect(broken({ ...files, [path]: weakened })).not.toEqual([]);
});
