import { useQuery } from "@tanstack/react-query";
import { TriangleAlert } from "lucide-react";
import { runMarks } from "@/api/metrics";
import type { ChartMark, EventOf } from "@/api/types";
import { Card } from "@/components/card";
import { formatTime } from "@/components/format";
import { Scrolled } from "@/components/scrolled";
import { Notice } from "@/components/states";
import { useKeysInWords } from "@/features/runs/key-names";

/** Warnings with what can be done, newest first; repeated ones once, with their count. */
export function Alarms({
  runId,
  alarms,
}: {
  runId: string;
  alarms: readonly EventOf<"warning">[];
}) {
  const marks = useQuery(runMarks(runId)).data?.marks ?? [];
  const inWords = useKeysInWords();
  const grouped = groupAlarms([...alarmsOfMarks(marks, alarms), ...alarms]);
  return (
    <Card title="Alarms" flush>
      {grouped.length === 0 ? (
        <p className="p-3 text-muted">Nothing to report.</p>
      ) : (
        <Scrolled label="Alarms" className="max-h-64">
          <ul className="divide-y">
            {grouped.map(({ alarm, count }) => (
              <li key={alarm.seq} className="flex gap-2 px-3 py-2">
                <TriangleAlert className="mt-0.5 size-4 shrink-0 text-warn" aria-hidden />
                <div className="min-w-0">
                  <p>{inWords(alarm.message)}</p>
                  {alarm.action ? <p className="text-muted">{inWords(alarm.action)}</p> : null}
                  <p className="num label">
                    step {alarm.step}, {formatTime(alarm.time)}
                    {count > 1 ? `, ${count} times` : ""}
                  </p>
                </div>
              </li>
            ))}
          </ul>
        </Scrolled>
      )}
    </Card>
  );
}

/** The newest alarm where it cannot be missed: what was seen and what can be done. */
export function LatestAlarm({ alarms }: { alarms: readonly EventOf<"warning">[] }) {
  const inWords = useKeysInWords();
  const alarm = alarms.at(-1);
  if (!alarm) {
    return null;
  }
  return (
    <Notice tone="warn" title={inWords(alarm.message)}>
      {inWords(alarm.action)}
    </Notice>
  );
}

/** Alarms older than the stream's snapshot are known by their marks. */
export function alarmsOfMarks(
  marks: readonly ChartMark[],
  streamed: readonly EventOf<"warning">[],
): EventOf<"warning">[] {
  const first = streamed[0]?.time ?? Number.POSITIVE_INFINITY;
  return marks
    .filter((mark) => mark.kind === "warning" && mark.time < first)
    .map(({ step, time, text, code, action }, index) => ({
      kind: "warning",
      seq: index - marks.length,
      time,
      step,
      code,
      message: text,
      action,
    }));
}

interface GroupedAlarm {
  alarm: EventOf<"warning">;
  count: number;
}

export function groupAlarms(alarms: readonly EventOf<"warning">[]): GroupedAlarm[] {
  const byCode = new Map<string, GroupedAlarm>();
  for (const alarm of alarms) {
    byCode.set(alarm.code, { alarm, count: (byCode.get(alarm.code)?.count ?? 0) + 1 });
  }
  return [...byCode.values()].sort((a, b) => b.alarm.seq - a.alarm.seq);
}
