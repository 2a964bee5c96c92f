import { create } from "zustand";
import { persist } from "zustand/middleware";

export type Theme = "system" | "dark" | "light";
/** How much stands on a page; styles.css has the sizes. */
export type Density = "compact" | "standard" | "large";

interface Preferences {
  theme: Theme;
  density: Density;
  /** Null until chosen: then the window decides. */
  railCollapsed: boolean | null;
  setTheme: (theme: Theme) => void;
  setDensity: (density: Density) => void;
  setRailCollapsed: (railCollapsed: boolean) => void;
}

/** What this browser remembers. public/theme.js reads the same key before the first paint. */
export const usePreferences = create<Preferences>()(
  persist(
    (set) => ({
      theme: "system",
      density: "standard",
      railCollapsed: null,
      setTheme: (theme) => {
        applyTheme(theme);
        set({ theme });
      },
      setDensity: (density) => {
        document.documentElement.dataset["density"] = density;
        set({ density });
      },
      setRailCollapsed: (railCollapsed) => set({ railCollapsed }),
    }),
    { name: "opd.preferences" },
  ),
);

function applyTheme(theme: Theme): void {
  document.documentElement.style.colorScheme = theme === "system" ? "" : theme;
}
