import { Card } from "@/components/card";
import type { Difference } from "@/features/new-run/draft";
import { wordsOf } from "@/features/new-run/setting-text";
import { useKeyName } from "@/features/runs/key-names";

interface ChangesProps {
  /** What the draft began with: a preset's title or a run's name. */
  source: { name: string; kind: "preset" | "run" } | undefined;
  changed: readonly Difference[];
}

const SAME = {
  preset: "Nothing: this is the preset as it is shipped.",
  run: "Nothing yet: this is the run as it was. Change a setting on any step.",
};

/** What a run has otherwise than what it was made from. */
export function Changes({ source, changed }: ChangesProps) {
  const name = useKeyName();
  return (
    <Card title={source ? `Different from “${source.name}”` : "Settings"} flush>
      {changed.length === 0 ? (
        <p className="p-3 text-muted">{SAME[source?.kind ?? "preset"]}</p>
      ) : (
        <table className="w-full text-left">
          <thead className="label">
            <tr className="h-8">
              <th className="px-3 font-normal">Setting</th>
              <th className="px-3 font-normal">{source?.kind === "run" ? "That run" : "Preset"}</th>
              <th className="px-3 font-normal">This run</th>
            </tr>
          </thead>
          <tbody>
            {changed.map(({ key, source: before, draft }) => (
              <tr key={key} className="num h-8 border-t">
                <td className="px-3 text-muted" title={key}>
                  {name(key)}
                </td>
                <td className="max-w-40 truncate px-3 text-muted">{wordsOf(before) || "empty"}</td>
                <td className="max-w-56 truncate px-3" title={wordsOf(draft)}>
                  {wordsOf(draft) || "empty"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}
