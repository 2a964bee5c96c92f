import { z } from "zod";
import type { Face } from "@/api/types";

export type RunTab = Face["tabs"][number];

export const TAB_LABELS: Readonly<Record<RunTab, string>> = {
  overview: "Overview",
  rollouts: "Rollouts",
  checkpoints: "Checkpoints",
  log: "Log",
  config: "Config",
};

export const runTabSearch = z.object({
  tab: z.enum(["overview", "rollouts", "checkpoints", "log", "config"]).optional().catch(undefined),
});
