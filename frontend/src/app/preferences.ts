import { create } from "zustand";
import { persist } from "zustand/middleware";

export type Theme = "system" | "dark" | "light";

interface Preferences {
  theme: Theme;
  railCollapsed: boolean;
  setTheme: (theme: Theme) => void;
  toggleRail: () => void;
}

/** What this browser remembers. public/theme.js reads the same key before the first paint. */
export const usePreferences = create<Preferences>()(
  persist(
    (set) => ({
      theme: "system",
      railCollapsed: false,
      setTheme: (theme) => {
        applyTheme(theme);
        set({ theme });
      },
      toggleRail: () => set(({ railCollapsed }) => ({ railCollapsed: !railCollapsed })),
    }),
    { name: "opd.preferences" },
  ),
);

function applyTheme(theme: Theme): void {
  document.documentElement.style.colorScheme = theme === "system" ? "" : theme;
}
