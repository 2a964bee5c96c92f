/** Places of the screen with the letter pressed after G there; the menu goes to the same paths. */
export const PLACES = [
  { label: "Home", path: "/", accelerator: "CmdOrCtrl+1" },
  { label: "New Run", path: "/new", accelerator: "CmdOrCtrl+N" },
  { label: "Runs", path: "/runs", accelerator: "CmdOrCtrl+2" },
  { label: "Pipelines", path: "/pipelines", accelerator: "CmdOrCtrl+8" },
  { label: "Models", path: "/models", accelerator: "CmdOrCtrl+3" },
  { label: "What Fits", path: "/map", accelerator: "CmdOrCtrl+9" },
  { label: "Data", path: "/data", accelerator: "CmdOrCtrl+4" },
  { label: "Playground", path: "/playground", accelerator: "CmdOrCtrl+5" },
  { label: "Evaluate", path: "/evaluate", accelerator: "CmdOrCtrl+6" },
  { label: "Export", path: "/export", accelerator: "CmdOrCtrl+7" },
  { label: "Settings…", path: "/settings", accelerator: "CmdOrCtrl+," },
] as const;

/** The part of Electron's menu items that is used here. */
export interface MenuItem {
  readonly label?: string;
  readonly role?: "appMenu" | "editMenu" | "windowMenu" | "togglefullscreen" | "reload" | "close";
  readonly type?: "separator";
  readonly accelerator?: string;
  readonly click?: () => void;
  readonly submenu?: MenuItem[];
}

/** The menu bar. Cmd-K stays with the page, which opens its palette by it. */
export function menuTemplate(goTo: (path: string) => void): MenuItem[] {
  const items = PLACES.map(({ label, path, accelerator }) => ({
    label,
    accelerator,
    click: () => goTo(path),
  }));
  return [
    { role: "appMenu" },
    {
      label: "File",
      submenu: [...items.slice(1, 2), { type: "separator" }, { role: "close" }],
    },
    { role: "editMenu" },
    { label: "Go", submenu: [...items.slice(0, 1), ...items.slice(2)] },
    { label: "View", submenu: [{ role: "reload" }, { role: "togglefullscreen" }] },
    { role: "windowMenu" },
  ];
}
