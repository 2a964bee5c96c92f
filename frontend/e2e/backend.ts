/** A real backend in a process of its own, on a workspace of its own, asked over loopback. */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { QueueView } from "@/api/types";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const PYTHON = process.env["OPD_PYTHON"] ?? join(ROOT, ".venv/bin/python");
const TOKEN = "a-token-of-these-stories-only";

export class Backend {
  readonly workspace: string;
  #process: ChildProcess;
  #port: number;

  private constructor(workspace: string, process: ChildProcess, port: number) {
    this.workspace = workspace;
    this.#process = process;
    this.#port = port;
  }

  static async start(workspace: string): Promise<Backend> {
    const { process, port } = await serve(workspace, 0);
    return new Backend(workspace, process, port);
  }

  /** The link that opens a session in a browser. */
  get link(): string {
    return `${this.url}/?token=${TOKEN}`;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The JSON of a good answer; throws for any other. */
  async ask<T>(path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.url}/api${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) {
      throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    }
    return (await response.json()) as T;
  }

  /** Ends it as a crash does: nothing is written or said any more; its runs go on. */
  async kill(): Promise<void> {
    await ended(this.#process, "SIGKILL");
  }

  /** Starts it again where pages look for it. */
  async restart(): Promise<void> {
    this.#process = (await serve(this.workspace, this.#port)).process;
  }

  /** Ends it and whatever works for it. */
  async close(): Promise<void> {
    // A story that failed may have left it dead.
    await this.killWorker().catch(() => undefined);
    await ended(this.#process, "SIGTERM");
  }

  /** Ends the run at work as a crash of its process does. */
  async killWorker(): Promise<void> {
    const { active } = await this.ask<QueueView>("/queue");
    if (active?.worker) {
      killGroup(active.worker.pid);
    }
  }
}

/** The worker leads a process group of its own. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}

interface Served {
  process: ChildProcess;
  port: number;
}

async function serve(workspace: string, port: number): Promise<Served> {
  const log = openSync(join(workspace, "backend.log"), "a");
  const options = ["--json", "--port", String(port), "--workspace", workspace];
  // Playwright asks for colours in its own output; a worker's log is a file.
  const { FORCE_COLOR: _, DEBUG_COLORS: __, ...environment } = process.env;
  const child = spawn(PYTHON, ["-m", "backend.command", "serve", ...options], {
    cwd: ROOT,
    env: { ...environment, OPD_TOKEN: TOKEN },
    stdio: ["ignore", "pipe", log],
  });
  const output = child.stdio[1] as Readable;
  for await (const line of createInterface({ input: output })) {
    return { process: child, port: (JSON.parse(line) as { port: number }).port };
  }
  throw new Error(`The backend ended with ${child.exitCode}; see ${workspace}/backend.log`);
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill(signal);
  });
}
