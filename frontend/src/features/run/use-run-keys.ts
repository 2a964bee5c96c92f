import { useNavigate } from "@tanstack/react-router";
import type { RunDetail } from "@/api/types";
import { type Shortcuts, useShortcuts } from "@/components/shortcuts";
import { faceOf } from "@/features/run/run-face";
import { pauseOrResume, useRunVerb } from "@/features/runs/run-actions";

/** P pauses the run or lets it go on; 1 to 5 open its tabs. */
export function useRunKeys(detail: RunDetail | undefined): void {
  const navigate = useNavigate({ from: "/runs/$runId" });
  const verb = useRunVerb();
  const tabs = detail ? faceOf(detail).tabs : [];
  const keys = tabs.map((tab, index) => [
    String(index + 1),
    () => void navigate({ search: tab === "overview" ? {} : { tab } }),
  ]);
  const wanted = detail && pauseOrResume(detail.run.state);
  const pause = () => {
    if (detail && wanted) {
      verb.mutate({ runId: detail.run.run_id, verb: wanted });
    }
  };
  const shortcuts: Shortcuts = { ...Object.fromEntries(keys), p: wanted ? pause : undefined };
  useShortcuts(shortcuts);
}
