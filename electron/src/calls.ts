/** Answers the two pages' calls: sender checked, payload validated, one answer each. */
import { dirname } from "node:path";
import {
  type BrowserWindow,
  dialog,
  type IpcMainInvokeEvent,
  ipcMain,
  Notification,
  shell,
} from "electron";
import {
  DIAGNOSTICS_CALLS,
  type DiagnosticsBridge,
  diagnosticsChannel,
  type Notice,
  PAGE_CALLS,
  type PickRequest,
  pageChannel,
} from "./bridge.js";
import {
  isFromDiagnostics,
  isFromPage,
  PayloadError,
  readNotice,
  readPath,
  readPickRequest,
  type Sender,
} from "./payloads.js";
import type { Remembered } from "./remembered.js";

interface CallContext {
  window(): BrowserWindow | null;
  /** The backend's origin while it serves. */
  backend(): string | null;
  /** The file URL of the diagnostics page. */
  readonly diagnosticsPage: string;
  readonly diagnostics: DiagnosticsBridge;
  readonly remembered: Remembered;
}

export function answerCalls(context: CallContext): void {
  const pick = (kind: "openFile" | "openDirectory") => (payload: unknown) =>
    askForPath(context, kind, readPickRequest(payload));
  const page = {
    pickFile: pick("openFile"),
    pickFolder: pick("openDirectory"),
    revealInFinder: (payload: unknown) => shell.showItemInFolder(readPath(payload)),
    notify: (payload: unknown) => showNotice(readNotice(payload), context.window),
  };
  for (const call of PAGE_CALLS) {
    ipcMain.handle(pageChannel(call), (event, payload: unknown) => {
      refuseUnless(isFromPage(senderOf(event), context.backend()));
      return page[call](payload);
    });
  }
  for (const call of DIAGNOSTICS_CALLS) {
    ipcMain.handle(diagnosticsChannel(call), (event) => {
      refuseUnless(isFromDiagnostics(senderOf(event), context.diagnosticsPage));
      return context.diagnostics[call]();
    });
  }
}

/** A notice of the system; a click on it brings the window to the front. */
export function showNotice({ title, body }: Notice, window: () => BrowserWindow | null): void {
  const notification = new Notification({ title, body });
  notification.on("click", () => window()?.show());
  notification.show();
}

async function askForPath(
  { window, remembered }: CallContext,
  kind: "openFile" | "openDirectory",
  { title, extensions, folder = remembered.read().folder ?? undefined }: PickRequest,
): Promise<string | null> {
  const options: Electron.OpenDialogOptions = {
    title,
    properties: [kind],
    filters: extensions.length > 0 ? [{ name: title, extensions: [...extensions] }] : [],
    ...(folder === undefined ? {} : { defaultPath: folder }),
  };
  const owner = window();
  const { filePaths } = await (owner === null
    ? dialog.showOpenDialog(options)
    : dialog.showOpenDialog(owner, options));
  const path = filePaths[0] ?? null;
  if (path !== null) {
    remembered.remember({ folder: kind === "openFile" ? dirname(path) : path });
  }
  return path;
}

function senderOf({ senderFrame }: IpcMainInvokeEvent): Sender {
  return senderFrame === null
    ? { url: "", isTop: false }
    : { url: senderFrame.url, isTop: senderFrame.parent === null };
}

function refuseUnless(isAllowed: boolean): void {
  if (!isAllowed) {
    throw new PayloadError("This page may not call the shell.");
  }
}
