import { create } from "zustand";

interface Overlays {
  palette: boolean;
  cheatSheet: boolean;
  setPalette: (open: boolean) => void;
  setCheatSheet: (open: boolean) => void;
}

export const useOverlays = create<Overlays>((set) => ({
  palette: false,
  cheatSheet: false,
  setPalette: (palette) => set({ palette }),
  setCheatSheet: (cheatSheet) => set({ cheatSheet }),
}));
