import {
  Box,
  FileText,
  Grid3x3,
  House,
  ListChecks,
  type LucideIcon,
  MessagesSquare,
  PackageOpen,
  Plus,
  Rows3,
  Settings,
  Workflow,
} from "lucide-react";

export interface Place {
  to:
    | "/"
    | "/new"
    | "/runs"
    | "/pipelines"
    | "/models"
    | "/data"
    | "/playground"
    | "/evaluate"
    | "/export"
    | "/settings"
    | "/map";
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
  { to: "/pipelines", label: "Pipelines", icon: Workflow, key: "L" },
  { to: "/models", label: "Models", icon: Box, key: "M" },
  { to: "/map", label: "What fits", icon: Grid3x3, key: "F" },
  { to: "/data", label: "Data", icon: FileText, key: "D" },
  { to: "/playground", label: "Playground", icon: MessagesSquare, key: "P" },
  { to: "/evaluate", label: "Evaluate", icon: ListChecks, key: "V" },
  { to: "/export", label: "Export", icon: PackageOpen, key: "E" },
  { to: "/settings", label: "API and settings", icon: Settings, key: "S" },
];
