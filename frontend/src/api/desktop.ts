/** What the desktop shell offers this page; in a browser there is none of it, and none is needed. */
import { folders } from "@/api/folders";
import { queryClient } from "@/api/query-client";

interface PickRequest {
  title: string;
  extensions: readonly string[];
  folder?: string;
}

/** As in electron/src/bridge.ts. */
interface DesktopBridge {
  pickFile(request: PickRequest): Promise<string | null>;
  pickFolder(request: PickRequest): Promise<string | null>;
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
  return (await window.opd?.pickFile({ title, extensions, ...(await whereToBegin()) })) ?? null;
}

/** Asks for a folder with the system's own picker: its path, or null when the user cancels. */
export async function pickFolder(title: string): Promise<string | null> {
  const request = { title, extensions: [], ...(await whereToBegin()) };
  return (await window.opd?.pickFolder(request)) ?? null;
}

/** The folder that the settings say, as long as it is there; else the shell goes on where it was. */
async function whereToBegin(): Promise<{ folder?: string }> {
  // Without settings the picker opens all the same.
  const told = await queryClient.fetchQuery(folders()).catch(() => null);
  const picker = told?.folders.find(({ key }) => key === "picker");
  return picker?.path && picker.problem === null ? { folder: picker.path } : {};
}

/** Follows the shell's menu to the page's own places. */
export function followMenu(goTo: (path: string) => void): void {
  window.opd?.onGoTo(goTo);
}
