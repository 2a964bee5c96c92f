import { create } from "zustand";
import { persist } from "zustand/middleware";

export type Theme = "system" | "dark" | "light";

interface Preferences {
  theme: Theme;
  /** Null until chosen: then the window decides. */
  railCollapsed: boolean | null;
  setTheme: (theme: Theme) => void;
  setRailCollapsed: (railCollapsed: boolean) => void;
}

/** What this browser remembers. public/theme.js reads the same key before the first paint. */
export const usePreferences = create<Preferences>()(
  persist(
    (set) => ({
      theme: "system",
      railCollapsed: null,
      setTheme: (theme) => {
        applyTheme(theme);
        set({ theme });
      },
      setRailCollapsed: (railCollapsed) => set({ railCollapsed }),
    }),
    { name: "opd.preferences" },
  ),
);

function applyTheme(theme: Theme): void {
  document.documentElement.style.colorScheme = theme === "system" ? "" : theme;
}
