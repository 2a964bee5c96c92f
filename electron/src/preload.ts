/** Runs sandboxed before each page: hands it named calls, and nothing of Electron itself. */
import { contextBridge, ipcRenderer } from "electron";
import {
  type DesktopBridge,
  type DiagnosticsBridge,
  diagnosticsChannel,
  GO_TO_CHANNEL,
  pageChannel,
} from "./bridge.js";

const page: DesktopBridge = {
  pickFile: (request) => ipcRenderer.invoke(pageChannel("pickFile"), request),
  pickFolder: (request) => ipcRenderer.invoke(pageChannel("pickFolder"), request),
  revealInFinder: (path) => ipcRenderer.invoke(pageChannel("revealInFinder"), path),
  notify: (notice) => ipcRenderer.invoke(pageChannel("notify"), notice),
  onGoTo: (listener) => {
    ipcRenderer.on(GO_TO_CHANNEL, (_event, path: string) => listener(path));
  },
};

const diagnostics: DiagnosticsBridge = {
  read: () => ipcRenderer.invoke(diagnosticsChannel("read")),
  restart: () => ipcRenderer.invoke(diagnosticsChannel("restart")),
  copyLog: () => ipcRenderer.invoke(diagnosticsChannel("copyLog")),
  openLogFolder: () => ipcRenderer.invoke(diagnosticsChannel("openLogFolder")),
};

if (window.location.protocol === "file:") {
  contextBridge.exposeInMainWorld("opdDiagnostics", diagnostics);
} else {
  contextBridge.exposeInMainWorld("opd", page);
}
