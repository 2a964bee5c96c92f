import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, readlink, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type News, QUIET } from "../../src/activity.js";
import { BackendProcess, parseReady, type Ready } from "../../src/backend-process.js";
import { Feed } from "../../src/feed.js";
import { LogRing } from "../../src/log-ring.js";
import { MAX_RESTARTS, Supervisor, type SupervisorState } from "../../src/supervisor.js";
import { START_WITHIN_MS, until } from "./until.js";

const ROOT = resolve(import.meta.dirname, "../../..");
const PYTHON = join(ROOT, ".venv/bin/python");
const BACKEND = [PYTHON, "-m", "backend"] as const;
const TOKEN = "a-token-for-tests";
const cleanups: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) {
    await cleanup();
  }
});

/** Removed after the test, once what worked in it has ended. */
async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "opd shell ü ")));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function options(workspace: string, command: readonly [string, ...string[]]) {
  return { command, workspace, folder: ROOT, token: TOKEN, readyWithinMs: START_WITHIN_MS };
}

function supervise(workspace: string, command: readonly [string, ...string[]] = BACKEND) {
  const states: SupervisorState[] = [];
  const supervisor = new Supervisor(options(workspace, command), (state) => states.push(state));
  cleanups.push(() => supervisor.stop());
  supervisor.start();
  return { supervisor, states };
}

function instance(port: number, token: string): Promise<Response> {
  const headers = { authorization: `Bearer ${token}` };
  return fetch(`http://127.0.0.1:${port}/api/instance`, { headers });
}

function serving({ state }: Supervisor): Ready | null {
  return state.kind === "serving" ? state.ready : null;
}

async function ask(port: number, path: string, body?: unknown): Promise<unknown> {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const answer = await fetch(`http://127.0.0.1:${port}/api${path}`, {
    headers,
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  });
  expect(answer.ok, `${path}: ${answer.status}`).toBe(true);
  return answer.json();
}

/** Starts a long demonstration and returns its folder once it learns. */
async function startRun(workspace: string, supervisor: Supervisor): Promise<string> {
  const { port } = await until("the backend", () => serving(supervisor));
  const presets = (await ask(port, "/presets")) as { name: string; config: object }[];
  const demo = presets.find(({ name }) => name === "demo")?.config as { distillation: object };
  const shorter = { num_steps: 5000, batch_size: 2, max_generation_tokens: 4, eval_every: 5000 };
  const config = { ...demo, distillation: { ...demo.distillation, ...shorter } };
  const { run_id } = (await ask(port, "/runs", { config, start: true })) as { run_id: string };
  const folder = join(workspace, "runs", run_id);
  cleanups.push(() => endWorker(folder));
  await until("the first step", async () => (await lastStep(folder)) > 0);
  return folder;
}

async function endWorker(folder: string): Promise<void> {
  const worker = await readFile(join(folder, "worker.json"), "utf8").catch(() => null);
  if (worker !== null) {
    process.kill((JSON.parse(worker) as { pid: number }).pid, "SIGKILL");
  }
}

interface EventLine {
  kind: string;
  step?: number;
}

async function eventsOf(folder: string): Promise<EventLine[]> {
  const text = await readFile(join(folder, "events.jsonl"), "utf8").catch(() => "");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as EventLine);
}

async function lastLine(folder: string): Promise<EventLine> {
  return (await eventsOf(folder)).at(-1) ?? { kind: "none" };
}

async function lastStep(folder: string): Promise<number> {
  const steps = (await eventsOf(folder)).filter(({ kind }) => kind === "step_finished");
  return steps.at(-1)?.step ?? 0;
}

describe("one backend", () => {
  let folder: string;
  let workspace: string;
  let backend: BackendProcess;

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), "opd shell ü ")));
    workspace = join(folder, "Übungs läufe");
    // It has a companion in its group, as a tokenizer's or a downloader's process would be.
    const script = 'sleep 600 & echo "companion $!"; exec "$0" -m backend "$@"';
    backend = new BackendProcess(options(workspace, ["sh", "-c", script, PYTHON]));
    await backend.ready;
  }, START_WITHIN_MS);

  afterAll(async () => {
    backend.killGroup();
    await rm(folder, { recursive: true, force: true });
  });

  test("says where it serves a workspace with spaces and umlauts", async () => {
    const ready = await backend.ready;
    expect(ready.pid).toBe(backend.pid);
    const answer = (await (await instance(ready.port, TOKEN)).json()) as Record<string, unknown>;
    expect(answer).toMatchObject({ instance: ready.instance, workspace });
  });

  test("refuses a wrong token, and has its own in no argument", async () => {
    const { port, pid } = await backend.ready;
    expect((await instance(port, "wrong")).status).toBe(401);
    if (process.platform === "linux") {
      expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).not.toContain(TOKEN);
    }
  });

  test("opens the page's session with the token", async () => {
    const { port } = await backend.ready;
    const opened = await fetch(`http://127.0.0.1:${port}/runs?token=${TOKEN}`, {
      redirect: "manual",
    });
    expect([opened.status, opened.headers.get("location")]).toEqual([303, "/runs"]);
    const cookie = opened.headers.get("set-cookie") ?? "";
    expect(cookie).toContain("HttpOnly");
    const headers = { cookie: cookie.split(";")[0] ?? "" };
    expect((await fetch(`http://127.0.0.1:${port}/api/queue`, { headers })).status).toBe(200);
  });

  test("tells its news to the shell's feed", async () => {
    const { port } = await backend.ready;
    const heard: News[] = [];
    const feed = new Feed(`http://127.0.0.1:${port}`, TOKEN, (news) => heard.push(news));
    cleanups.push(() => feed.close());
    const first = await until("the queue", () => heard[0]);
    expect(first).toEqual({ activity: QUIET, notice: null });
  });

  test("ends when asked, as the last thing here, and leaves nothing of its process group", async () => {
    const { pid } = await backend.ready;
    const said = backend.log.lines.find((line) => line.startsWith("companion "));
    const companion = Number(said?.split(" ")[1]);
    expect(isRunning(companion)).toBe(true);
    expect(await backend.stop()).toEqual({ code: 0, signal: null, error: null });
    await until("the end of the group", () => !isRunning(pid) && !isRunning(companion));
  });
});

test("a killed backend is started again where it was, and ends when the shell quits", async () => {
  const { supervisor } = supervise(await makeFolder());
  const serving = () => (supervisor.state.kind === "serving" ? supervisor.state.ready : null);
  const first = await until("the first backend", serving);
  process.kill(first.pid, "SIGKILL");
  const second = await until("the second backend", () => {
    const ready = serving();
    return ready && ready.pid !== first.pid ? ready : null;
  });
  expect(second.port).toBe(first.port);
  expect((await instance(second.port, TOKEN)).status).toBe(200);

  expect(await supervisor.stop("keep")).toBe(true);
  expect(isRunning(second.pid)).toBe(false);
  expect(supervisor.state.kind).toBe("stopped");
});

test("a run at work goes on without the backend, or is paused with it", async () => {
  const workspace = await makeFolder();
  const first = supervise(workspace).supervisor;
  const folder = await startRun(workspace, first);
  expect(await first.stop("keep")).toBe(true);
  const before = await lastStep(folder);
  await until("a step without a backend", async () => (await lastStep(folder)) > before);

  const second = supervise(workspace).supervisor;
  const { port } = await until("the backend", () => serving(second));
  await until("the run that went on", async () => {
    const { run } = (await ask(port, `/runs/${basename(folder)}`)) as { run: { state: string } };
    return run.state === "running";
  });
  expect(await second.stop("pause")).toBe(true);
  await until("the paused run", async () => (await lastLine(folder)).kind === "run_paused");
  const checkpoint = await readlink(join(folder, "checkpoints", "last"));
  expect(Number(basename(checkpoint))).toBeGreaterThan(before);
});

test("the supervisor gives up after three restarts and keeps the backend's last words", async () => {
  // As in a damaged installation: without its packages the backend ends at once.
  const { supervisor, states } = supervise(await makeFolder(), [PYTHON, "-S", "-m", "backend"]);
  const hasFailed = () => (supervisor.state.kind === "failed" ? supervisor.state : null);
  const failed = await until("giving up", hasFailed);
  expect(states.filter((state) => state.kind === "starting")).toHaveLength(1 + MAX_RESTARTS);
  expect(failed.ending.code).toBe(1);
  expect(supervisor.log.lines.join("\n")).toContain("ModuleNotFoundError");
});

test("a program that is not there is a failure with its reason", async () => {
  const { supervisor } = supervise(await makeFolder(), ["/no/such/python"]);
  const failed = await until("giving up", () =>
    supervisor.state.kind === "failed" ? supervisor.state : null,
  );
  expect(failed.ending.error).toContain("ENOENT");
});

test("the backend ends when its parent is gone", async () => {
  const script = [
    'import("node:child_process").then(({ spawn }) => {',
    '  const child = spawn(process.argv[1], ["-m", "backend", "--ready-json", "--watch-parent",',
    '    "--workspace", process.argv[2]], { detached: true, stdio: ["ignore", "inherit", "inherit"] });',
    "  child.unref(); setInterval(() => {}, 1000); });",
  ].join("\n");
  const parent = spawn(process.execPath, ["-e", script, PYTHON, await makeFolder()], { cwd: ROOT });
  cleanups.push(() => parent.kill("SIGKILL"));
  const log = new LogRing();
  parent.stdout.setEncoding("utf8").on("data", (piece: string) => log.write(piece));
  const ready = await until("the ready line", () => log.lines.map(parseReady).find(Boolean));
  parent.kill("SIGKILL");
  await until("the end of the backend", () => !isRunning(ready.pid));
});

/** There, and not merely waiting for its parent to take note of its end. */
function isRunning(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}
