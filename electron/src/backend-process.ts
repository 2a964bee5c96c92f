import { type ChildProcess, spawn } from "node:child_process";
import { LogRing } from "./log-ring.js";

/** What the backend says once it serves, as one JSON line. */
export interface Ready {
  readonly port: number;
  readonly pid: number;
  readonly instance: string;
}

/** How a backend ended; `error` is set when it could not be started at all. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error: string | null;
}

export interface BackendCommand {
  /** The program and its arguments, before the backend's own. */
  readonly command: readonly [string, ...string[]];
  /** Null leaves the choice to the backend. */
  readonly workspace: string | null;
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Travels by environment, never in the arguments, which every user of the machine can read. */
  readonly token: string;
  /** 0 lets the system choose a free one. */
  readonly port?: number;
  readonly readyWithinMs?: number;
}

const READY_WITHIN_MS = 60_000;
/**
 * The backend ends within seconds; two minutes are for a playground that holds the GPU's memory,
 * which a hard end can leave lost until the next boot.
 */
const GRACE_MS = 120_000;
const LAST_WORDS_WITHIN_MS = 1_000;

/** Nothing from around the shell may lead the backend's Python elsewhere. */
const FOREIGN_PYTHON = new Set(["PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP"]);

/** Reads the ready line; null for any other line. */
export function parseReady(line: string): Ready | null {
  if (!line.startsWith("{")) {
    return null;
  }
  try {
    const { ready, port, pid, instance } = JSON.parse(line) as Record<string, unknown>;
    return ready === true &&
      Number.isInteger(port) &&
      Number.isInteger(pid) &&
      typeof instance === "string"
      ? { port: port as number, pid: pid as number, instance }
      : null;
  } catch {
    return null;
  }
}

/** One backend in a process group of its own, from its start to its end. */
export class BackendProcess {
  readonly log: LogRing;
  readonly ended: Promise<Ending>;
  readonly ready: Promise<Ready>;
  readonly #child: ChildProcess;
  #isGone = false;

  constructor(options: BackendCommand, log = new LogRing()) {
    this.log = log;
    const [program, ...before] = options.command;
    this.#child = spawn(program, [...before, ...argumentsOf(options)], {
      cwd: options.folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: environmentOf(options),
    });
    this.ended = this.#end();
    this.ready = this.#announcement(options.readyWithinMs ?? READY_WITHIN_MS);
    this.ready.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks the backend to end. Runs have groups of their own and go on. */
  async stop(graceMs = GRACE_MS): Promise<Ending> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.killGroup(), graceMs);
    const ending = await this.ended;
    clearTimeout(timer);
    return ending;
  }

  /** Asks every process of the group to end; the last resort comes after a long grace. */
  #endGroup(): void {
    if (this.#signalGroup("SIGTERM")) {
      setTimeout(() => this.#signalGroup("SIGKILL"), GRACE_MS).unref();
    }
  }

  /** Ends every process of the backend's group at once: for one that does not end when asked. */
  killGroup(): void {
    if (!this.#isGone) {
      this.#signalGroup("SIGKILL");
    }
  }

  /** False where the group is empty already. */
  #signalGroup(signal: NodeJS.Signals): boolean {
    try {
      return this.pid !== undefined && process.kill(-this.pid, signal);
    } catch {
      return false;
    }
  }

  /**
   * The end is the process's own, not that of its pipes: what it left in its group may hold those
   * open for ever, and is ended here. Its last words are waited for, but not for long.
   */
  #end(): Promise<Ending> {
    return new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#isGone = true;
        resolve({ code: null, signal: null, error: error.message });
      });
      this.#child.once("exit", (code, signal) => {
        this.#endGroup();
        this.#isGone = true;
        const end = () => resolve({ code, signal, error: null });
        const timer = setTimeout(end, LAST_WORDS_WITHIN_MS);
        this.#child.once("close", () => {
          clearTimeout(timer);
          end();
        });
      });
    });
  }

  #announcement(withinMs: number): Promise<Ready> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#endGroup();
        reject(new Error(`The backend did not answer within ${withinMs / 1000} seconds.`));
      }, withinMs);
      let rest = "";
      const listen = (piece: string) => {
        this.log.write(piece);
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        const ready = lines.map(parseReady).find((found) => found !== null);
        if (ready) {
          clearTimeout(timer);
          resolve(ready);
        }
      };
      this.#child.stdout?.setEncoding("utf8").on("data", listen);
      this.#child.stderr?.setEncoding("utf8").on("data", (piece: string) => this.log.write(piece));
      void this.ended.then((ending) => {
        clearTimeout(timer);
        reject(new Error(ending.error ?? "The backend ended before it was ready."));
      });
    });
  }
}

function argumentsOf({ workspace, port = 0 }: BackendCommand): string[] {
  const place = workspace === null ? [] : ["--workspace", workspace];
  return [...place, "--port", String(port), "--ready-json", "--watch-parent"];
}

function environmentOf({ token, environment }: BackendCommand): NodeJS.ProcessEnv {
  const around = Object.entries(process.env).filter(([name]) => !FOREIGN_PYTHON.has(name));
  return {
    ...Object.fromEntries(around),
    ...environment,
    OPD_TOKEN: token,
    PYTHONUNBUFFERED: "1",
  };
}
