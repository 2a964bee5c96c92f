import { useSyncExternalStore } from "react";
import { usePreferences } from "@/app/preferences";

const NARROW = "(width < 1152px)";

/** Whether the left rail is a strip of icons: as was chosen, else as the window is wide. */
export function useRail(): { isCollapsed: boolean; toggle: () => void } {
  const { railCollapsed, setRailCollapsed } = usePreferences();
  const isNarrow = useSyncExternalStore(followWidth, () => window.matchMedia(NARROW).matches);
  const isCollapsed = railCollapsed ?? isNarrow;
  return { isCollapsed, toggle: () => setRailCollapsed(!isCollapsed) };
}

function followWidth(changed: () => void): () => void {
  const query = window.matchMedia(NARROW);
  query.addEventListener("change", changed);
  return () => query.removeEventListener("change", changed);
}
