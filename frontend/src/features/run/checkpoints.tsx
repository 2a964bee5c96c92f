import { useQuery } from "@tanstack/react-query";
import { checkpoints } from "@/api/files";
import { describeError } from "@/api/problem";
import { Badge } from "@/components/badge";
import { formatBytes, formatTime } from "@/components/format";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";

export function Checkpoints({ runId }: { runId: string }) {
  const query = useQuery(checkpoints(runId));
  if (query.isPending) {
    return <SkeletonRows count={3} />;
  }
  if (query.error) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  if (query.data.checkpoints.length === 0) {
    return (
      <EmptyState title="No checkpoint yet">
        A checkpoint holds the adapter and the optimizer; a run can go on from each of them.
      </EmptyState>
    );
  }
  return (
    <table className="w-full text-left">
      <thead className="label">
        <tr className="h-8 border-b">
          <th className="font-normal">Step</th>
          <th className="font-normal">Saved</th>
          <th className="text-right font-normal">Size</th>
          <th className="pl-6 font-normal">Folder</th>
        </tr>
      </thead>
      <tbody>
        {query.data.checkpoints.toReversed().map((checkpoint) => (
          <tr key={checkpoint.step} className="num h-8 border-b">
            <td>
              <span className="mr-2">{checkpoint.step}</span>
              {checkpoint.is_best ? <Badge tone="good">best</Badge> : null}{" "}
              {checkpoint.is_last ? <Badge>last</Badge> : null}
            </td>
            <td className="text-muted">{formatTime(checkpoint.time)}</td>
            <td className="text-right">{formatBytes(checkpoint.num_bytes)}</td>
            <td className="truncate pl-6 font-mono text-sm text-muted">{checkpoint.path}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
