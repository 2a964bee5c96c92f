/** Wires the shell's parts to Electron; what they decide is in the modules, without Electron. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { app, clipboard, dialog, Menu, powerSaveBlocker, session, shell } from "electron";
import {
  type Activity,
  BLOCKER,
  dockProgress,
  type News,
  QUIET,
  shouldBlockSuspension,
} from "./activity.js";
import type { DiagnosticsBridge } from "./bridge.js";
import { answerCalls, showNotice } from "./calls.js";
import { diagnose } from "./diagnosis.js";
import { Feed } from "./feed.js";
import { guardPages, guardPermissions } from "./guard.js";
import { placesOf } from "./launch.js";
import { menuTemplate } from "./menu-template.js";
import { CANCEL_BUTTON, leave, QUIT_BUTTONS, runAtWork } from "./quit.js";
import { Remembered } from "./remembered.js";
import { ShellWindow } from "./shell-window.js";
import { Supervisor, type SupervisorState } from "./supervisor.js";

const token = randomBytes(32).toString("base64url");
const { OPD_MLX: wish = "" } = process.env;
const places = placesOf({
  isPackaged: app.isPackaged,
  app: app.getAppPath(),
  resources: process.resourcesPath,
  machine: {
    kernel: release(),
    chip: cpus()[0]?.model ?? "",
    wish,
  },
});
const remembered = new Remembered(app.getPath("userData"));
const shellWindow = new ShellWindow(places.preload, token);
const supervisor = new Supervisor(
  { ...places, token, workspace: null, port: remembered.read().port },
  onState,
);
let feed: Feed | null = null;
let activity: Activity = QUIET;
let blocker: number | null = null;
let leaving: "no" | "asking" | "agreed" = "no";

function backend(): string | null {
  return supervisor.state.kind === "serving" ? supervisor.state.url : null;
}

function onState(state: SupervisorState): void {
  feed?.close();
  feed = null;
  if (state.kind === "serving") {
    remembered.remember({ port: state.ready.port });
    feed = new Feed(state.url, token, follow);
  } else if (state.kind === "failed") {
    follow({ activity: QUIET, notice: null });
  }
  show(state);
}

function show(state: SupervisorState): void {
  if (state.kind === "starting") {
    shellWindow.showStarting(places.startingPage);
  } else if (state.kind === "serving") {
    shellWindow.showPage(state.url);
  } else if (state.kind === "failed") {
    shellWindow.showOwn(places.diagnosticsPage);
  }
}

function follow(news: News): void {
  activity = news.activity;
  shellWindow.window?.setProgressBar(dockProgress(activity));
  if (shouldBlockSuspension(activity)) {
    blocker ??= powerSaveBlocker.start(BLOCKER);
  } else if (blocker !== null) {
    powerSaveBlocker.stop(blocker);
    blocker = null;
  }
  if (news.notice !== null && shellWindow.window?.isFocused() !== true) {
    showNotice(news.notice, () => shellWindow.window);
  }
}

const diagnostics: DiagnosticsBridge = {
  read: async () => diagnose(supervisor.state, supervisor.log.lines),
  restart: async () => supervisor.start(),
  copyLog: async () => clipboard.writeText(supervisor.log.lines.join("\n")),
  openLogFolder: async () => {
    const folder = app.getPath("logs");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "backend.log"), supervisor.log.lines.join("\n"));
    await shell.openPath(folder);
  },
};

async function askToQuit(question: { message: string; detail: string }): Promise<number> {
  const { response } = await dialog.showMessageBox({
    type: "question",
    ...question,
    buttons: [...QUIT_BUTTONS],
    defaultId: 0,
    cancelId: CANCEL_BUTTON,
  });
  return response;
}

/** Quits at the second call of Electron's, once the user agreed and the backend ended. */
async function holdQuit(event: { preventDefault(): void }): Promise<void> {
  if (leaving === "agreed") {
    return;
  }
  event.preventDefault();
  if (leaving === "asking") {
    return;
  }
  leaving = "asking";
  const agreed = await leave({
    run: backend() === null ? null : runAtWork(activity),
    ask: askToQuit,
    stop: (runs) => supervisor.stop(runs),
    tell: (title, text) => dialog.showErrorBox(title, text),
  });
  leaving = agreed ? "agreed" : "no";
  if (agreed) {
    app.quit();
  }
}

function reopen(): void {
  if (shellWindow.window === null) {
    shellWindow.open();
    show(supervisor.state);
  }
  shellWindow.window?.show();
}

function goTo(path: string): void {
  reopen();
  shellWindow.goTo(path);
}

async function start(): Promise<void> {
  await app.whenReady();
  guardPermissions(session.defaultSession, backend);
  answerCalls({
    window: () => shellWindow.window,
    backend,
    diagnosticsPage: places.diagnosticsPage,
    diagnostics,
    remembered,
  });
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(goTo)));
  shellWindow.open();
  supervisor.start();
}

app.enableSandbox();
guardPages(backend);
app.on("second-instance", reopen);
app.on("activate", reopen);
app.on("window-all-closed", () => {
  if (process.platform !== "darwin") {
    app.quit();
  }
});
app.on("before-quit", (event) => void holdQuit(event));
if (app.requestSingleInstanceLock()) {
  void start();
} else {
  leaving = "agreed";
  app.quit();
}
