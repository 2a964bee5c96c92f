/** The one window: the backend's page while it serves, else what is the matter. */
import { BrowserWindow } from "electron";
import { GO_TO_CHANNEL } from "./bridge.js";
import { mayNavigate, WEB_PREFERENCES } from "./window-policy.js";

const BACKGROUND = "#0d0f13";

/** What is shown goes nowhere while the user has the window closed. */
export class ShellWindow {
  readonly #preload: string;
  readonly #token: string;
  #window: BrowserWindow | null = null;
  #wanted = "";
  #hasFailed = false;

  constructor(preload: string, token: string) {
    this.#preload = preload;
    this.#token = token;
  }

  get window(): BrowserWindow | null {
    return this.#window;
  }

  open(): void {
    const window = new BrowserWindow({
      width: 1440,
      height: 900,
      minWidth: 1024,
      minHeight: 640,
      backgroundColor: BACKGROUND,
      webPreferences: { ...WEB_PREFERENCES, preload: this.#preload },
    });
    window.on("closed", () => {
      this.#window = null;
    });
    this.#window = window;
  }

  /** Shows the backend's page; one that is shown already stays as it is and reconnects by itself. */
  showPage(backend: string): void {
    const shown = this.#url;
    if (this.#hasFailed || !mayNavigate(shown, backend)) {
      const path = isServed(shown) ? new URL(shown).pathname : "/";
      this.#load(`${backend}${path}?token=${this.#token}`);
    }
  }

  /** Shows a page of the shell's own. */
  showOwn(page: string): void {
    this.#load(page);
  }

  /** Says that the backend starts, unless its page is there and says so itself. */
  showStarting(page: string): void {
    if (!isServed(this.#url)) {
      this.#load(page);
    }
  }

  goTo(path: string): void {
    this.#window?.webContents.send(GO_TO_CHANNEL, path);
  }

  get #url(): string {
    return this.#window?.webContents.getURL() ?? "";
  }

  #load(url: string): void {
    this.#wanted = url;
    this.#hasFailed = false;
    this.#window?.loadURL(url).catch(() => {
      // A load that another one replaced fails too; only the last one counts.
      this.#hasFailed = this.#wanted === url;
    });
  }
}

/** Whether a page is one that a backend served, this one or one before it. */
function isServed(url: string): boolean {
  return url.startsWith("http:");
}
