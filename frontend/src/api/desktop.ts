/** What the desktop shell offers this page; in a browser there is none of it, and none is needed. */

/** As in electron/src/bridge.ts. */
interface DesktopBridge {
  pickFile(request: { title: string; extensions: readonly string[] }): Promise<string | null>;
  pickFolder(request: { title: string; extensions: readonly string[] }): Promise<string | null>;
  onGoTo(listener: (path: string) => void): void;
}

declare global {
  interface Window {
    readonly opd?: DesktopBridge;
  }
}

/** Whether the shell shows this page. */
export function isDesktop(): boolean {
  return window.opd !== undefined;
}

/** Asks with the system's own picker: the file's path, or null when the user cancels. */
export async function pickFile(
  title: string,
  extensions: readonly string[],
): Promise<string | null> {
  return (await window.opd?.pickFile({ title, extensions })) ?? null;
}

/** Asks for a folder with the system's own picker: its path, or null when the user cancels. */
export async function pickFolder(title: string): Promise<string | null> {
  return (await window.opd?.pickFolder({ title, extensions: [] })) ?? null;
}

/** Follows the shell's menu to the page's own places. */
export function followMenu(goTo: (path: string) => void): void {
  window.opd?.onGoTo(goTo);
}
