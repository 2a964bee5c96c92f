/** What a pipeline's figures say, in words. */
import type { PipelineStatus, PipelineTable, StageStatus } from "@/api/pipelines";
import { formatDuration, formatPlural } from "@/components/format";

/** "5 of 12 stages, 3 min so far, about 4 min to go". */
export function progressText(status: PipelineStatus): string {
  const stages = formatPlural(status.stages.length, "stage");
  if (status.state === "finished") {
    return `${stages}, ${formatDuration(status.seconds)} of work`;
  }
  const parts = [`${status.num_finished} of ${stages} finished`];
  if (status.seconds > 0) {
    parts.push(`${formatDuration(status.seconds)} of work so far`);
  }
  if (status.left_seconds !== null) {
    parts.push(`about ${formatDuration(status.left_seconds)} to go`);
  }
  return parts.join(", ");
}

/** How much of a stage is done, 0 to 1; null where nobody knows how long it is. */
export function shareOf(stage: StageStatus): number | null {
  if (stage.state === "finished") {
    return 1;
  }
  return stage.num_steps > 0 ? Math.min(stage.step / stage.num_steps, 1) : null;
}

/** Who wins, in a sentence; nobody where another is as good within the interval. */
export function verdictText(table: PipelineTable): string {
  if (table.winner !== null) {
    return table.variants.length === 1
      ? `Only ${table.winner} was measured.`
      : `${table.winner} is better than every other variant beyond chance.`;
  }
  const others = table.variants
    .filter((row) => row.is_as_good_as_best && row.name !== table.best)
    .map((row) => row.name);
  const are = others.length === 1 ? "is" : "are";
  return `No winner: ${table.best} has the most right answers, and ${others.join(", ")} ${are} as good within the interval.`;
}

const MOST_COMPARED = 8;

/** The runs to lay beside each other: each once, as many as the comparison takes. */
export function comparable(runIds: readonly (string | null)[]): string[] {
  const known = runIds.filter((each) => each !== null);
  return [...new Set(known)].slice(0, MOST_COMPARED);
}
