const diagnostics = window.opdDiagnostics;

function show(id, text) {
  document.getElementById(id).textContent = text;
}

function onPress(id, action) {
  document.getElementById(id).addEventListener("click", () => void action());
}

onPress("restart", diagnostics.restart);
onPress("copy", diagnostics.copyLog);
onPress("folder", diagnostics.openLogFolder);

diagnostics.read().then(({ what, detail, why, log }) => {
  show("what", what);
  show("detail", detail);
  show("why", why);
  show("log", log.join("\n"));
});
