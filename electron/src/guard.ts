/** Holds every page of the app to the window policy, whoever made it. */
import { app, type Session, shell, type WebContents } from "electron";
import { mayNavigate, mayOpenOutside, mayUse } from "./window-policy.js";

/** Call before the first window; `backend` is the backend's origin while it serves. */
export function guardPages(backend: () => string | null): void {
  app.on("web-contents-created", (_event, contents) => guardPage(contents, backend));
}

function guardPage(contents: WebContents, backend: () => string | null): void {
  const hold = (event: { preventDefault(): void; url: string }) => {
    if (!mayNavigate(event.url, backend() ?? "")) {
      event.preventDefault();
      openOutside(event.url);
    }
  };
  contents.on("will-navigate", hold);
  contents.on("will-redirect", hold);
  contents.on("will-frame-navigate", (event) => {
    if (!event.isMainFrame) {
      event.preventDefault();
    }
  });
  contents.on("will-attach-webview", (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    openOutside(url);
    return { action: "deny" };
  });
}

/** Everything is refused but copying, which the page's own buttons do. */
export function guardPermissions(session: Session, backend: () => string | null): void {
  const grants = (permission: string, origin: string) =>
    mayUse(permission, origin, backend() ?? "");
  session.setPermissionRequestHandler((_contents, permission, answer, { requestingUrl }) =>
    answer(grants(permission, requestingUrl)),
  );
  session.setPermissionCheckHandler((_contents, permission, origin) => grants(permission, origin));
  session.setDevicePermissionHandler(() => false);
}

function openOutside(url: string): void {
  if (mayOpenOutside(url)) {
    void shell.openExternal(url);
  }
}
