import { type BackendCommand, BackendProcess, type Ending, type Ready } from "./backend-process.js";
import { LogRing } from "./log-ring.js";
import { shutDown } from "./quit.js";

export const MAX_RESTARTS = 3;
export const RESTART_WINDOW_MS = 120_000;

/** What the supervisor is at; the shell shows the page or the diagnostics by it. */
export type SupervisorState =
  | { readonly kind: "starting"; readonly restarts: number }
  | { readonly kind: "serving"; readonly ready: Ready; readonly url: string }
  | { readonly kind: "failed"; readonly ending: Ending }
  | { readonly kind: "stopped" };

/**
 * Whether one more restart is allowed. Of the earlier ones count those of the last two minutes and
 * those since it last served: a start that fails slowly must not be tried for ever.
 */
export function mayRestart(restarts: readonly number[], servedAt: number, now: number): boolean {
  const counting = restarts.filter((time) => now - time < RESTART_WINDOW_MS || time > servedAt);
  return counting.length < MAX_RESTARTS;
}

/** Keeps one backend alive: three restarts in two minutes, then it gives up and says so. */
export class Supervisor {
  readonly log = new LogRing();
  readonly #options: BackendCommand;
  readonly #tell: (state: SupervisorState) => void;
  #state: SupervisorState = { kind: "stopped" };
  #process: BackendProcess | null = null;
  #restarts: number[] = [];
  #servedAt = 0;
  #port: number;
  #isStopping = false;

  constructor(options: BackendCommand, tell: (state: SupervisorState) => void) {
    this.#options = options;
    this.#tell = tell;
    this.#port = options.port ?? 0;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** Starts afresh, with all restarts allowed again; a backend that is there stays. */
  start(): void {
    this.#isStopping = false;
    if (this.#process === null) {
      this.#restarts = [];
      this.#launch();
    }
  }

  /**
   * Ends the backend; the run at work goes on by itself, or is paused first. False, and nothing
   * ended, when it could not be asked to pause.
   */
  async stop(runs: "keep" | "pause" = "keep"): Promise<boolean> {
    this.#isStopping = true;
    const url = this.#state.kind === "serving" ? this.#state.url : null;
    const isTaken = url !== null && (await shutDown(url, this.#options.token, runs));
    if (runs === "pause" && !isTaken) {
      this.start();
      return false;
    }
    await this.#process?.stop();
    this.#process = null;
    this.#become({ kind: "stopped" });
    return true;
  }

  #launch(): void {
    this.#become({ kind: "starting", restarts: this.#restarts.length });
    const backend = new BackendProcess({ ...this.#options, port: this.#port }, this.log);
    this.#process = backend;
    // Only one that served gets its port again, so that the page finds it where it was.
    this.#port = 0;
    backend.ready.then(
      (ready) => {
        this.#port = ready.port;
        this.#servedAt = Date.now();
        const url = `http://127.0.0.1:${ready.port}`;
        this.#become({ kind: "serving", ready, url });
      },
      () => undefined,
    );
    void backend.ended.then((ending) => this.#onEnd(backend, ending));
  }

  #onEnd(backend: BackendProcess, ending: Ending): void {
    if (backend !== this.#process) {
      return;
    }
    if (this.#isStopping) {
      this.#process = null;
      return;
    }
    const now = Date.now();
    if (mayRestart(this.#restarts, this.#servedAt, now)) {
      this.#restarts.push(now);
      this.#launch();
      return;
    }
    this.#process = null;
    this.#become({ kind: "failed", ending });
  }

  #become(state: SupervisorState): void {
    this.#state = state;
    this.#tell(state);
  }
}
