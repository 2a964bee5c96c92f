import { useQuery } from "@tanstack/react-query";
import { checkpoints } from "@/api/files";
import { queryClient } from "@/api/query-client";
import { runDetail, runPage } from "@/api/runs";
import { Select } from "@/components/select";
import { type Student, studentOf } from "@/features/evaluate/student-of";
import { showError } from "@/features/runs/run-actions";

/** Fills the form from a run that has a checkpoint: model, adapter, teacher, prompt and file. */
export function StudentPicker({ onStudent }: { onStudent: (student: Student) => void }) {
  const runs = useQuery(runPage({ limit: 200 })).data?.runs ?? [];
  const trained = runs.filter((run) => run.has_checkpoint && run.student);
  if (trained.length === 0) {
    return null;
  }
  const take = async (runId: string) => {
    try {
      const [detail, found] = await Promise.all([
        queryClient.fetchQuery(runDetail(runId)),
        queryClient.fetchQuery(checkpoints(runId)),
      ]);
      const student = studentOf(detail, found.checkpoints, undefined);
      if (student) {
        onStudent(student);
      }
    } catch (error) {
      showError(error);
    }
  };
  return (
    <Select
      label="Fill in from a run"
      value=""
      placeholder="Fill in from a run"
      choices={trained.map((run) => ({ value: run.run_id, label: run.name }))}
      onChange={(runId) => void take(runId)}
      className="w-72 max-w-full"
    />
  );
}
