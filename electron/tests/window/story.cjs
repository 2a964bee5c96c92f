/** What a person does in the window, done in the main process behind the shell; says each step. */
const { execFileSync } = require("child_process");
const { app, BrowserWindow, dialog } = require("electron");

const WAIT_MS = 120000;
const { OPD_WINDOW_FILE } = process.env;
const say = (line) => process.stdout.write(`STORY ${line}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what, look) {
  const end = Date.now() + WAIT_MS;
  while (Date.now() < end) {
    const found = await look().catch(() => null);
    if (found) {
      return found;
    }
    await sleep(300);
  }
  throw new Error(`waited in vain: ${what}`);
}

const inPage = (code) => BrowserWindow.getAllWindows()[0].webContents.executeJavaScript(code);
const ask = (path, body) =>
  inPage(
    `fetch(${JSON.stringify(path)}, ${
      body === undefined
        ? "{}"
        : JSON.stringify({
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
          })
    }).then(async (answer) => (answer.ok ? answer.json() : Promise.reject(await answer.text())))`,
  );

function backends() {
  const all = execFileSync("ps", ["-eo", "pid=,ppid=,args="]).toString().split("\n");
  return all
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, ...words]) => Number(parent) === process.pid && words.includes("backend"))
    .map(([pid]) => Number(pid));
}

async function story() {
  await until("the page", () =>
    inPage(`location.protocol === "http:" && document.querySelector("nav")?.innerText`),
  );
  say("the backend's page is shown, with its navigation");

  dialog.showOpenDialog = async () => ({ canceled: false, filePaths: [OPD_WINDOW_FILE] });
  const picked = await inPage(`window.opd.pickFile({ title: "Prompts", extensions: ["jsonl"] })`);
  if (picked !== OPD_WINDOW_FILE) {
    throw new Error(`picked ${picked}`);
  }
  say("the page asked for a file and got the path that the (stubbed) dialog gave");

  const [before] = backends();
  process.kill(before, "SIGKILL");
  await until("another backend", async () => backends().some((pid) => pid !== before));
  await until("its answer", () => ask("/api/queue"));
  say("the backend was killed, and another one serves the same page");

  const { presets } = await ask("/api/presets").then((found) =>
    Array.isArray(found) ? { presets: found } : found,
  );
  const { config } = presets.find(({ name }) => name === "demo");
  const run = await ask("/api/runs", { config, start: true, anyway: true });
  await until("a step", async () => (await ask(`/api/runs/${run.run_id}`)).run.step > 0);
  say(`a run is at work: ${run.run_id}`);
  // The shell hears of it by its own stream.
  await sleep(3000);

  let asked = null;
  dialog.showErrorBox = (title) => say(`ERROR ${title}`);
  dialog.showMessageBox = async (question) => {
    asked = question;
    return { response: question.buttons.indexOf("Pause and quit") };
  };
  app.on("will-quit", () =>
    say(asked === null ? "ERROR it quit without a question" : `it asked: ${asked.message}`),
  );
  app.quit();
}

app
  .whenReady()
  .then(story)
  .catch((error) => {
    say(`ERROR ${error.message || error}`);
    app.exit(1);
  });
