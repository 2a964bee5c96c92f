import { useQuery } from "@tanstack/react-query";
import { checkpoints } from "@/api/files";
import { queryClient } from "@/api/query-client";
import { runPage } from "@/api/runs";
import { Select } from "@/components/select";
import type { Student } from "@/features/evaluate/student-of";
import { showError } from "@/features/runs/run-actions";

/** Takes model and best adapter from a run that has a checkpoint. */
export function StudentPicker({ onStudent }: { onStudent: (student: Student) => void }) {
  const runs = useQuery(runPage({ limit: 200 })).data?.runs ?? [];
  const trained = runs.filter((run) => run.has_checkpoint && run.student);
  if (trained.length === 0) {
    return null;
  }
  const take = async (runId: string) => {
    const run = trained.find((each) => each.run_id === runId);
    try {
      const found = (await queryClient.fetchQuery(checkpoints(runId))).checkpoints;
      const best = found.find((each) => each.is_best) ?? found.at(-1);
      if (run?.student && best) {
        onStudent({ model: run.student, adapter: best.path });
      }
    } catch (error) {
      showError(error);
    }
  };
  return (
    <Select
      label="Take the student of a run"
      value=""
      placeholder="Take the student of a run"
      choices={trained.map((run) => ({ value: run.run_id, label: run.name }))}
      onChange={(runId) => void take(runId)}
      className="w-72 max-w-full"
    />
  );
}
