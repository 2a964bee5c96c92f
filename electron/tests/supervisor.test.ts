import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BackendProcess, parseReady } from "../src/backend-process.js";
import { LogRing } from "../src/log-ring.js";
import {
  MAX_RESTARTS,
  mayRestart,
  RESTART_WINDOW_MS,
  Supervisor,
  type SupervisorState,
} from "../src/supervisor.js";

const ROOT = resolve(import.meta.dirname, "../..");
const PYTHON = join(ROOT, ".venv/bin/python");
const TOKEN = "a-token-for-tests";
let workspace: string;
let cleanups: (() => Promise<unknown> | unknown)[];

beforeEach(async () => {
  workspace = await realpath(await mkdtemp(join(tmpdir(), "opd shell ü ")));
  cleanups = [];
});

afterEach(async () => {
  for (const cleanup of cleanups) {
    await cleanup();
  }
  await rm(workspace, { recursive: true, force: true });
});

async function until<T>(what: string, look: () => T | undefined | false | null): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = look();
    if (found) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`Waited 30 s for ${what}.`);
    }
    await new Promise((next) => setTimeout(next, 20));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function options(command: readonly [string, ...string[]] = [PYTHON, "-m", "backend"]) {
  return { command, workspace, folder: ROOT, token: TOKEN };
}

function launch(command?: readonly [string, ...string[]]): BackendProcess {
  const backend = new BackendProcess(options(command));
  cleanups.push(() => backend.killGroup());
  return backend;
}

function supervise(command?: readonly [string, ...string[]]) {
  const states: SupervisorState[] = [];
  const supervisor = new Supervisor(options(command), (state) => states.push(state));
  cleanups.push(() => supervisor.stop());
  supervisor.start();
  return { supervisor, states };
}

function instance(port: number, token: string): Promise<Response> {
  const headers = { authorization: `Bearer ${token}` };
  return fetch(`http://127.0.0.1:${port}/api/instance`, { headers });
}

test("the ready line says where the backend serves a workspace with spaces and umlauts", async () => {
  workspace = join(workspace, "Übungs läufe");
  const backend = launch();
  const ready = await backend.ready;
  expect(ready.pid).toBe(backend.pid);
  const answer = (await (await instance(ready.port, TOKEN)).json()) as Record<string, unknown>;
  expect(answer).toMatchObject({ instance: ready.instance, workspace });
  expect((await backend.stop()).code).toBe(0);
});

test("a wrong token is refused, and the token is in no argument", async () => {
  const { port, pid } = await launch().ready;
  expect((await instance(port, "wrong")).status).toBe(401);
  if (process.platform === "linux") {
    expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).not.toContain(TOKEN);
  }
});

test("a killed backend is started again and serves", async () => {
  const { supervisor } = supervise();
  const serving = () => (supervisor.state.kind === "serving" ? supervisor.state.ready : null);
  const first = await until("the first backend", serving);
  process.kill(first.pid, "SIGKILL");
  const second = await until("the second backend", () => {
    const ready = serving();
    return ready && ready.pid !== first.pid ? ready : null;
  });
  expect((await instance(second.port, TOKEN)).status).toBe(200);
});

test("the supervisor gives up after three restarts and keeps the backend's last words", async () => {
  const { supervisor, states } = supervise([PYTHON, "-m", "backend", "--port", "-1"]);
  const failed = await until("giving up", () =>
    supervisor.state.kind === "failed" ? supervisor.state : null,
  );
  expect(states.filter((state) => state.kind === "starting")).toHaveLength(1 + MAX_RESTARTS);
  expect(failed.ending.code).toBe(2);
  expect(failed.log.join("\n")).toContain("Port -1");
});

test("a program that is not there is a failure with its reason", async () => {
  const { supervisor } = supervise(["/no/such/python"]);
  const failed = await until("giving up", () =>
    supervisor.state.kind === "failed" ? supervisor.state : null,
  );
  expect(failed.ending.error).toContain("ENOENT");
});

test("stopping leaves nothing of the backend's process group", async () => {
  const script = 'sleep 600 & echo "companion $!"; exec "$0" -m backend "$@"';
  const backend = launch(["sh", "-c", script, PYTHON]);
  const { pid } = await backend.ready;
  const said = backend.log.lines.find((line) => line.startsWith("companion "));
  const companion = Number(said?.split(" ")[1]);
  expect(isAlive(companion)).toBe(true);
  backend.killGroup();
  await until("the end of the group", () => !isRunning(pid) && !isRunning(companion));
});

test("the backend ends when its parent is gone", async () => {
  const script = [
    'import("node:child_process").then(({ spawn }) => {',
    '  const child = spawn(process.argv[1], ["-m", "backend", "--ready-json", "--watch-parent",',
    '    "--workspace", process.argv[2]], { detached: true, stdio: ["ignore", "inherit", "inherit"] });',
    "  child.unref(); setInterval(() => {}, 1000); });",
  ].join("\n");
  const parent = spawn(process.execPath, ["-e", script, PYTHON, workspace], { cwd: ROOT });
  cleanups.push(() => parent.kill("SIGKILL"));
  const log = new LogRing();
  parent.stdout.setEncoding("utf8").on("data", (piece: string) => log.write(piece));
  const ready = await until("the ready line", () => log.lines.map(parseReady).find(Boolean));
  parent.kill("SIGKILL");
  await until("the end of the backend", () => !isRunning(ready.pid));
});

test("restarts count for two minutes only", () => {
  expect(mayRestart([0, 1, 2], 3)).toBe(false);
  expect(mayRestart([0, 1, 2], RESTART_WINDOW_MS)).toBe(true);
  expect(mayRestart([0, 1], 3)).toBe(true);
});

test("only the ready line is taken for it", () => {
  expect(parseReady('{"ready":true,"port":1,"pid":2,"instance":"i"}')).toEqual({
    port: 1,
    pid: 2,
    instance: "i",
  });
  for (const line of ["", "{", "{}", '{"ready":true,"port":"1","pid":2,"instance":"i"}']) {
    expect(parseReady(line)).toBeNull();
  }
});

test("the log keeps the last lines, and torn ones whole", () => {
  const log = new LogRing(2);
  log.write("a\nb");
  log.write("c\nd\ne");
  expect(log.lines).toEqual(["bc", "d", "e"]);
});

/** Alive and not merely waiting for its parent to take note of its death. */
function isRunning(pid: number): boolean {
  if (!isAlive(pid)) {
    return false;
  }
  const said = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).stdout;
  return said.trim() !== "" && !said.trim().startsWith("Z");
}
