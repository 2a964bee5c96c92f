// Before the first paint, so that a light page never flashes dark and nothing jumps. A file of its own: the content
// security policy admits no inline script. The same key and shape as src/app/preferences.ts.
try {
  const { state } = JSON.parse(localStorage.getItem("opd.preferences") ?? "{}");
  if (state?.theme === "dark" || state?.theme === "light") {
    document.documentElement.style.colorScheme = state.theme;
  }
  if (state?.density === "compact" || state?.density === "large") {
    document.documentElement.dataset.density = state.density;
  }
} catch {
  localStorage.removeItem("opd.preferences");
}
