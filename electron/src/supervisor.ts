import { type BackendCommand, BackendProcess, type Ending, type Ready } from "./backend-process.js";
import { LogRing } from "./log-ring.js";

export const MAX_RESTARTS = 3;
export const RESTART_WINDOW_MS = 120_000;

/** What the supervisor is at; the shell shows the page or the diagnostics by it. */
export type SupervisorState =
  | { readonly kind: "starting"; readonly restarts: number }
  | { readonly kind: "serving"; readonly ready: Ready; readonly url: string }
  | { readonly kind: "failed"; readonly ending: Ending; readonly log: readonly string[] }
  | { readonly kind: "stopped" };

/** Whether one more restart is allowed, given when the earlier ones were. */
export function mayRestart(restarts: readonly number[], now: number): boolean {
  return restarts.filter((time) => now - time < RESTART_WINDOW_MS).length < MAX_RESTARTS;
}

/** Keeps one backend alive: three restarts in two minutes, then it gives up and says so. */
export class Supervisor {
  readonly log = new LogRing();
  readonly #options: BackendCommand;
  readonly #tell: (state: SupervisorState) => void;
  #state: SupervisorState = { kind: "stopped" };
  #process: BackendProcess | null = null;
  #restarts: number[] = [];
  #isStopping = false;

  constructor(options: BackendCommand, tell: (state: SupervisorState) => void) {
    this.#options = options;
    this.#tell = tell;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** Starts afresh, with all restarts allowed again. Does nothing while a backend is there. */
  start(): void {
    if (this.#process === null) {
      this.#restarts = [];
      this.#isStopping = false;
      this.#launch();
    }
  }

  /** Ends the backend; its runs go on. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#process?.stop();
    this.#process = null;
    this.#become({ kind: "stopped" });
  }

  #launch(): void {
    this.#become({ kind: "starting", restarts: this.#restarts.length });
    const backend = new BackendProcess(this.#options, this.log);
    this.#process = backend;
    backend.ready.then(
      (ready) => {
        const url = `http://127.0.0.1:${ready.port}`;
        this.#become({ kind: "serving", ready, url });
      },
      () => undefined,
    );
    void backend.ended.then((ending) => this.#onEnd(backend, ending));
  }

  #onEnd(backend: BackendProcess, ending: Ending): void {
    backend.killGroup();
    if (this.#isStopping || backend !== this.#process) {
      return;
    }
    const now = Date.now();
    if (mayRestart(this.#restarts, now)) {
      this.#restarts.push(now);
      this.#launch();
      return;
    }
    this.#process = null;
    this.#become({ kind: "failed", ending, log: this.log.lines });
  }

  #become(state: SupervisorState): void {
    this.#state = state;
    this.#tell(state);
  }
}
