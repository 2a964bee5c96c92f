import { WebSocket } from "ws";
import { type Activity, hear, type News, QUIET } from "./activity.js";

const AGAIN_AFTER_MS = 1_000;

/** Follows the backend's `WS /api/stream` until closed, and again after every break. */
export class Feed {
  readonly #url: string;
  readonly #token: string;
  readonly #tell: (news: News) => void;
  #activity: Activity = QUIET;
  #socket: WebSocket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(url: string, token: string, tell: (news: News) => void) {
    this.#url = `${url.replace(/^http/, "ws")}/api/stream`;
    this.#token = token;
    this.#tell = tell;
    this.#open();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
    this.#socket?.close();
  }

  #open(): void {
    const headers = { authorization: `Bearer ${this.#token}` };
    const socket = new WebSocket(this.#url, { headers });
    this.#socket = socket;
    socket.on("message", (data) => this.#hear(String(data)));
    // The end follows every error.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (!this.#isClosed) {
        this.#timer = setTimeout(() => this.#open(), AGAIN_AFTER_MS);
      }
    });
  }

  #hear(line: string): void {
    const before = this.#activity;
    const news = hear(before, line);
    this.#activity = news.activity;
    if (!this.#isClosed && (news.activity !== before || news.notice !== null)) {
      this.#tell(news);
    }
  }
}
