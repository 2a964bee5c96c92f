// Before the first paint, so that a light page never flashes dark. A file of its own: the content
// security policy admits no inline script. The same key and shape as src/app/preferences.ts.
try {
  const { state } = JSON.parse(localStorage.getItem("opd.preferences") ?? "{}");
  if (state?.theme === "dark" || state?.theme === "light") {
    document.documentElement.style.colorScheme = state.theme;
  }
} catch {
  localStorage.removeItem("opd.preferences");
}
