/** Stands in for Electron, whose binary the tests do not have: remembers what was asked of it. */
import { EventEmitter } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

type Handler = (event: unknown, payload?: unknown) => unknown;

class Contents extends EventEmitter {
  url = "";
  readonly sent: unknown[][] = [];
  windowOpenHandler: ((details: { url: string }) => { action: string }) | null = null;

  getURL(): string {
    return this.url;
  }

  send(...message: unknown[]): void {
    this.sent.push(message);
  }

  setWindowOpenHandler(handler: (details: { url: string }) => { action: string }): void {
    this.windowOpenHandler = handler;
  }
}

export class BrowserWindow extends EventEmitter {
  static readonly all: BrowserWindow[] = [];
  readonly webContents = new Contents();
  readonly loaded: string[] = [];
  readonly options: Readonly<Record<string, unknown>>;
  progress = -1;

  constructor(options: Readonly<Record<string, unknown>>) {
    super();
    this.options = options;
    BrowserWindow.all.push(this);
    app.emit("web-contents-created", {}, this.webContents);
  }

  async loadURL(url: string): Promise<void> {
    this.loaded.push(url);
    this.webContents.url = url;
  }

  setProgressBar(progress: number): void {
    this.progress = progress;
  }

  isFocused(): boolean {
    return true;
  }

  show(): void {}
}

class App extends EventEmitter {
  readonly isPackaged = false;
  readonly userData = mkdtempSync(join(tmpdir(), "opd user data ü "));
  isSandboxed = false;
  hasQuit = false;

  async whenReady(): Promise<void> {}

  getAppPath(): string {
    return resolve(import.meta.dirname, "../..");
  }

  getPath(): string {
    return this.userData;
  }

  enableSandbox(): void {
    this.isSandboxed = true;
  }

  requestSingleInstanceLock(): boolean {
    return true;
  }

  /** As Electron's own: every listener may hold it. */
  quit(): void {
    let isHeld = false;
    this.emit("before-quit", {
      preventDefault: () => {
        isHeld = true;
      },
    });
    this.hasQuit = !isHeld;
  }
}

export const app = new App();
export const handlers = new Map<string, Handler>();
export const ipcMain = {
  handle: (channel: string, handler: Handler) => handlers.set(channel, handler),
};
export const picks: { canceled: boolean; filePaths: string[] }[] = [];
export const pickOptions: { defaultPath?: string }[] = [];
export const dialog = {
  showOpenDialog: async (_owner: unknown, options: { defaultPath?: string }) => {
    pickOptions.push(options);
    return picks.shift() ?? { canceled: true, filePaths: [] };
  },
  showMessageBox: async () => ({ response: 0 }),
  showErrorBox: () => undefined,
};
export const opened: string[] = [];
export const shell = {
  openExternal: async (url: string) => {
    opened.push(url);
  },
  showItemInFolder: () => undefined,
  openPath: async () => "",
};
type Grant = (contents: null, permission: string, origin: string) => boolean;
export const grants: Grant[] = [];
export const session = {
  defaultSession: {
    setPermissionRequestHandler: () => undefined,
    setPermissionCheckHandler: (grant: Grant) => grants.push(grant),
    setDevicePermissionHandler: () => undefined,
  },
};
interface Item {
  readonly label?: string;
  readonly click?: () => void;
  readonly submenu?: readonly Item[];
}
export const menu: { items: readonly Item[] } = { items: [] };
export const Menu = {
  buildFromTemplate: (items: readonly Item[]) => items,
  setApplicationMenu: (items: readonly Item[]) => {
    menu.items = items;
  },
};
export class Notification extends EventEmitter {
  show(): void {}
}
export const powerSaveBlocker = { start: () => 1, stop: () => undefined };
export const clipboard = { writeText: () => undefined };
