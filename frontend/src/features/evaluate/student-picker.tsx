import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { checkpoints } from "@/api/files";
import { queryClient } from "@/api/query-client";
import { runDetail, runPage } from "@/api/runs";
import { Select } from "@/components/select";
import { EMPTY_PLAN, type EvaluationPlan } from "@/features/evaluate/plan";
import { type Student, studentOf, trainedRuns } from "@/features/evaluate/student-of";
import { showError } from "@/features/runs/run-actions";

interface StudentPickerProps {
  /** Whose form it is now; null where it is of no run. */
  student: Student | null;
  onPlan: (plan: EvaluationPlan) => void;
}

const NO_RUN = "none";

/** Fills the form from a run that has a checkpoint: model, adapter, teacher, prompt and file. */
export function StudentPicker({ student, onPlan }: StudentPickerProps) {
  const [chosen, setChosen] = useState(student?.runId ?? NO_RUN);
  const trained = trainedRuns(useQuery(runPage({ limit: 200 })).data?.runs ?? []);
  if (trained.length === 0) {
    return null;
  }
  const take = async (runId: string) => {
    setChosen(runId);
    if (runId === NO_RUN) {
      onPlan(EMPTY_PLAN);
      return;
    }
    try {
      const [detail, found] = await Promise.all([
        queryClient.fetchQuery(runDetail(runId)),
        queryClient.fetchQuery(checkpoints(runId)),
      ]);
      const filled = studentOf(detail, found.checkpoints, undefined);
      if (filled) {
        onPlan({ ...EMPTY_PLAN, ...filled });
      }
    } catch (error) {
      showError(error);
    }
  };
  return (
    <Select
      label="Fill in from a run"
      size="sm"
      value={chosen}
      choices={[
        { value: NO_RUN, label: "Of no run: fill in yourself" },
        ...trained.map((run) => ({ value: run.run_id, label: run.name })),
      ]}
      onChange={(runId) => void take(runId)}
      className="w-72 max-w-full"
    />
  );
}
