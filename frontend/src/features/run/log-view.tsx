import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { logTail } from "@/api/files";
import { describeError } from "@/api/problem";
import { Button } from "@/components/button";
import { formatBytes } from "@/components/format";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";

const FIRST_BYTES = 65_536;
const MOST_BYTES = 1_000_000;
const FOLLOW_MS = 2000;

/** The worker's output; stays at the end while the reader is there. */
export function LogView({ runId, isAtWork }: { runId: string; isAtWork: boolean }) {
  const [maxBytes, setMaxBytes] = useState(FIRST_BYTES);
  const log = useQuery({
    ...logTail(runId, maxBytes),
    refetchInterval: isAtWork ? FOLLOW_MS : (false as const),
  });
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const text = log.data?.text;
  // biome-ignore lint/correctness/useExhaustiveDependencies: new text moves the end
  useEffect(() => {
    if (atEnd.current && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [text]);
  if (log.isPending) {
    return <SkeletonRows />;
  }
  if (log.error) {
    const { title, reason } = describeError(log.error);
    return <ErrorState title={title} reason={reason} retry={() => void log.refetch()} />;
  }
  if (log.data.total === 0) {
    return <EmptyState title="The log is empty">The worker has written nothing yet.</EmptyState>;
  }
  return (
    <div className="flex h-full min-h-96 flex-col gap-2">
      {log.data.start > 0 ? (
        <div className="num flex items-center gap-2 text-muted">
          The last {formatBytes(log.data.end - log.data.start)} of {formatBytes(log.data.total)}
          {maxBytes < MOST_BYTES ? (
            <Button size="sm" onClick={() => setMaxBytes(MOST_BYTES)}>
              Show more
            </Button>
          ) : null}
        </div>
      ) : null}
      <pre
        ref={box}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
        tabIndex={0}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          atEnd.current = scrollTop + clientHeight > scrollHeight - 24;
        }}
        className="min-h-0 grow overflow-auto rounded-md border bg-sunken p-3 font-mono text-sm whitespace-pre-wrap"
      >
        {text}
      </pre>
    </div>
  );
}
