/** The contract between the shell and its two pages; knows neither Node nor Electron. */

export interface PickRequest {
  readonly title: string;
  /** Endings without a dot; empty for any file. */
  readonly extensions: readonly string[];
  /** Where it opens; left out: where something was picked last. */
  readonly folder?: string;
}

export interface Notice {
  readonly title: string;
  readonly body: string;
}

/** What the backend's page finds as `window.opd` when the shell shows it. */
export interface DesktopBridge {
  /** The chosen file's path, or null when the user cancels. */
  pickFile(request: PickRequest): Promise<string | null>;
  pickFolder(request: PickRequest): Promise<string | null>;
  revealInFinder(path: string): Promise<void>;
  notify(notice: Notice): Promise<void>;
  /** Hears which of the page's own paths the menu asks for. */
  onGoTo(listener: (path: string) => void): void;
}

/** What the diagnostics page finds as `window.opdDiagnostics`. */
export interface DiagnosticsBridge {
  read(): Promise<Diagnosis>;
  restart(): Promise<void>;
  copyLog(): Promise<void>;
  openLogFolder(): Promise<void>;
}

export interface Diagnosis {
  readonly what: string;
  readonly detail: string;
  /** Why, in a sentence; empty where the log does not say. */
  readonly why: string;
  readonly log: readonly string[];
}

export const PAGE_CALLS = ["pickFile", "pickFolder", "revealInFinder", "notify"] as const;
export const DIAGNOSTICS_CALLS = ["read", "restart", "copyLog", "openLogFolder"] as const;

export type PageCall = (typeof PAGE_CALLS)[number];
export type DiagnosticsCall = (typeof DIAGNOSTICS_CALLS)[number];

export const GO_TO_CHANNEL = "page:goTo";

export function pageChannel(call: PageCall): string {
  return `page:${call}`;
}

export function diagnosticsChannel(call: DiagnosticsCall): string {
  return `diagnostics:${call}`;
}
