import { House, type LucideIcon, Plus, Rows3 } from "lucide-react";

export interface Place {
  to: "/" | "/new" | "/runs";
  label: string;
  icon: LucideIcon;
  /** Pressed after G. */
  key?: string;
}

/** The left rail, top to bottom; the palette and the shortcuts know the same list. */
export const PLACES: readonly Place[] = [
  { to: "/", label: "Home", icon: House, key: "H" },
  { to: "/new", label: "New run", icon: Plus, key: "N" },
  { to: "/runs", label: "Runs", icon: Rows3, key: "R" },
];
