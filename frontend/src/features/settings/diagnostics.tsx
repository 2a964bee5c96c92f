import { useMutation, useQuery } from "@tanstack/react-query";
import { toast } from "sonner";
import { body, client } from "@/api/client";
import { instance } from "@/api/instance";
import { queryClient } from "@/api/query-client";
import { useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatNumber } from "@/components/format";
import { showError } from "@/features/runs/run-actions";

/** Which backend this is and how it fares. */
export function Diagnostics() {
  const about = useQuery(instance()).data;
  const { connection, system } = useWorkspace();
  const rebuild = useMutation({
    mutationFn: () => body(client.POST("/api/reindex")),
    onSuccess: async ({ num_runs }) => {
      toast(`The index was rebuilt from ${num_runs} runs.`);
      await queryClient.invalidateQueries({ queryKey: ["runs"] });
    },
    onError: showError,
  });
  const rows = [
    ["Version", about?.version ?? "–"],
    ["Process", about ? String(about.pid) : "–"],
    ["Live connection", connection],
    ["Memory of the backend", `${formatNumber(system?.backend_memory_gb, 2)} GB`],
  ] as const;
  return (
    <Card
      title="Diagnostics"
      actions={
        <Button size="sm" busy={rebuild.isPending} onClick={() => rebuild.mutate()}>
          Rebuild the index of runs
        </Button>
      }
    >
      <dl>
        {rows.map(([label, value]) => (
          <div key={label} className="num flex min-h-7 items-center justify-between gap-4">
            <dt className="shrink-0 text-muted">{label}</dt>
            <dd className="truncate" title={value}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
