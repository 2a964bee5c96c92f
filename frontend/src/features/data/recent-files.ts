import { create } from "zustand";
import { persist } from "zustand/middleware";
import type { PromptSet } from "@/api/types";

const KEPT = 12;
const SHOWN = 3;

interface RecentFiles {
  paths: readonly string[];
  used: (path: string) => void;
}

/** The files that were chosen last in this browser, the newest first. */
export const useRecentFiles = create<RecentFiles>()(
  persist(
    (set) => ({
      paths: [],
      used: (path) => set(({ paths }) => ({ paths: withRecent(paths, path) })),
    }),
    { name: "opd.recent-files" },
  ),
);

/** A list of paths with one in front, each of them once. */
export function withRecent(paths: readonly string[], path: string): string[] {
  return [path, ...paths.filter((each) => each !== path)].slice(0, KEPT);
}

/** The recent ones among the sets that can be chosen; the chosen one needs no offer. */
export function recentSets(
  sets: readonly PromptSet[],
  paths: readonly string[],
  chosen: string | null,
): PromptSet[] {
  return paths
    .filter((path) => path !== chosen)
    .flatMap((path) => sets.find((set) => set.path === path) ?? [])
    .slice(0, SHOWN);
}
