/** The student of a run's checkpoint, as an evaluation names it. */
import { useQuery } from "@tanstack/react-query";
import { checkpoints } from "@/api/files";
import { runDetail } from "@/api/runs";

export interface Student {
  model: string;
  adapter: string;
}

/** Undefined while it is looked up; null where none is meant, or it is gone. */
export function useStudentOf(
  runId: string | undefined,
  step: number | undefined,
): Student | null | undefined {
  const enabled = runId !== undefined;
  const detail = useQuery({ ...runDetail(runId ?? ""), enabled });
  const found = useQuery({ ...checkpoints(runId ?? ""), enabled });
  if (!enabled || detail.isError || found.isError) {
    return null;
  }
  if (!detail.data || !found.data) {
    return undefined;
  }
  const rows = found.data.checkpoints;
  const chosen =
    step === undefined
      ? (rows.find(({ is_best }) => is_best) ?? rows.at(-1))
      : rows.find((each) => each.step === step);
  return chosen ? { model: detail.data.run.student, adapter: chosen.path } : null;
}
