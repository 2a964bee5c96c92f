import { z } from "zod";

export const RUN_TABS = [
  { id: "overview", label: "Overview" },
  { id: "rollouts", label: "Rollouts" },
  { id: "checkpoints", label: "Checkpoints" },
  { id: "log", label: "Log" },
  { id: "config", label: "Config" },
] as const;

export type RunTab = (typeof RUN_TABS)[number]["id"];

export const runTabSearch = z.object({
  tab: z.enum(["overview", "rollouts", "checkpoints", "log", "config"]).optional().catch(undefined),
});
