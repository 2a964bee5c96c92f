/** Tells by the system's own notices that a run has ended; the desktop shell does so by itself. */
import { create } from "zustand";
import { persist } from "zustand/middleware";
import { isDesktop } from "@/api/desktop";
import type { RunSummary } from "@/api/types";
import { useWorkspace } from "@/api/workspace";

interface SystemNotices {
  isOn: boolean;
  setOn: (isOn: boolean) => void;
}

/** Whether this browser was asked to tell. */
export const useSystemNotices = create<SystemNotices>()(
  persist((set) => ({ isOn: false, setOn: (isOn) => set({ isOn }) }), { name: "opd.notices" }),
);

const ENDINGS: Readonly<Record<string, string>> = {
  finished: "The run has finished.",
  failed: "The run has failed; its page says why.",
  interrupted: "The run was interrupted; it can be resumed.",
};

/** What to tell of a run whose entry changed; null where that is no news. */
export function endingOf(before: RunSummary | undefined, now: RunSummary): string | null {
  const wasAtWork = before !== undefined && before.state !== now.state;
  return wasAtWork ? (ENDINGS[now.state] ?? null) : null;
}

/** Asks the browser once; true where it may tell. */
export async function askToTell(): Promise<boolean> {
  return "Notification" in window && (await Notification.requestPermission()) === "granted";
}

/** Tells of every ending until stopped; call it once. */
export function tellOfEndings(): () => void {
  if (isDesktop()) {
    return () => undefined;
  }
  return useWorkspace.subscribe(({ runs }, before) => {
    if (runs === before.runs || !useSystemNotices.getState().isOn) {
      return;
    }
    for (const run of Object.values(runs)) {
      const words = run === before.runs[run.run_id] ? null : endingOf(before.runs[run.run_id], run);
      if (words && Notification.permission === "granted") {
        const notice = new Notification(run.name, { body: words, tag: run.run_id });
        notice.onclick = () => window.focus();
      }
    }
  });
}
