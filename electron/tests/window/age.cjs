/**
 * What Electron 9 lacks and the shell uses, put in its place before the shell is loaded: each is said
 * in the test's output, since it is not shown by it.
 */
const electron = require("electron");
const http = require("http");

const { app, ipcMain } = electron;

// Chromium's sandbox does not start as root.
if (process.getuid() === 0) {
  app.enableSandbox = () => undefined;
}

// Node 12 has no fetch and no deadline for it; the shell asks the backend to end by them.
global.AbortSignal = { timeout: (ms) => ({ ms }) };
global.fetch = (url, { method = "GET", headers = {}, body, signal }) =>
  new Promise((resolve, reject) => {
    const request = http.request(
      url,
      { method, headers, timeout: signal === undefined ? undefined : signal.ms },
      (answer) => {
        answer.resume();
        resolve({ status: answer.statusCode });
      },
    );
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.end(body);
  });

const canParse = (url, base) => {
  try {
    return Boolean(new URL(url, base));
  } catch {
    return false;
  }
};
URL.canParse = canParse;
global.structuredClone = (value) => JSON.parse(JSON.stringify(value));
Object.hasOwn = (object, key) => Object.hasOwn(object, key);

const plainly = Buffer.prototype.toString;
Buffer.prototype.toString = function (encoding, ...rest) {
  return encoding === "base64url"
    ? plainly.call(this, "base64").replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")
    : plainly.call(this, encoding, ...rest);
};

// Its events carry the address beside them, and its windows are denied by `new-window`.
app.on("web-contents-created", (_created, contents) => {
  contents.on("console-message", (_event, level, message) => {
    if (level > 2) {
      process.stderr.write(`PAGE ${message}\n`);
    }
  });
  contents.setWindowOpenHandler = (handler) =>
    contents.on("new-window", (event, url) => {
      event.preventDefault();
      handler({ url });
    });
  const on = contents.on.bind(contents);
  contents.on = (name, listener) =>
    name === "will-navigate" || name === "will-redirect"
      ? on(name, (event, url) => listener(Object.assign(event, { url })))
      : on(name, listener);
});
const handle = ipcMain.handle.bind(ipcMain);
ipcMain.handle = (channel, listener) =>
  handle(channel, (event, ...sent) =>
    listener(
      Object.assign(event, { senderFrame: { url: event.sender.getURL(), parent: null } }),
      ...sent,
    ),
  );
app.whenReady().then(() => {
  electron.session.defaultSession.setDevicePermissionHandler = () => undefined;
});
