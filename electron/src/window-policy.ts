/** Places outside that a click may open in the system browser; https only. */
const OUTSIDE = new Set([
  "github.com",
  "huggingface.co",
  "arxiv.org",
  "ml-explore.github.io",
  "www.apache.org",
]);

/** Whether a page may be shown in the window: the backend's own origin and nothing else. */
export function mayNavigate(target: string, backend: string): boolean {
  const url = parse(target);
  const own = parse(backend);
  return url !== null && own !== null && url.origin === own.origin && url.username === "";
}

/** Whether a link may be handed to the system browser. */
export function mayOpenOutside(target: string): boolean {
  const url = parse(target);
  return (
    url !== null &&
    url.protocol === "https:" &&
    url.username === "" &&
    url.password === "" &&
    url.port === "" &&
    OUTSIDE.has(url.hostname)
  );
}

/** Only copying is granted, and only to the backend's page: no camera, place, or notification. */
export function mayUse(permission: string, origin: string, backend: string): boolean {
  return permission === "clipboard-sanitized-write" && mayNavigate(origin, backend);
}

/** What every window is created with; a test reads these flags. */
export const WEB_PREFERENCES = {
  sandbox: true,
  contextIsolation: true,
  nodeIntegration: false,
  nodeIntegrationInWorker: false,
  nodeIntegrationInSubFrames: false,
  webSecurity: true,
  allowRunningInsecureContent: false,
  webviewTag: false,
  navigateOnDragDrop: false,
  spellcheck: false,
} as const;

function parse(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}
