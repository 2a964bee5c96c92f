import type { VariantReport } from "@/api/evaluations";
import { formatPercent } from "@/components/format";

/** The labels that fare worst, each with a few of its errors. */
export function WorstLabels({ variant }: { variant: VariantReport }) {
  const worst = variant.per_label.flatMap(({ examples = [], ...score }) =>
    examples.length > 0 ? [{ ...score, examples }] : [],
  );
  if (worst.length === 0) {
    return <p className="text-muted">No label has errors.</p>;
  }
  return (
    <div className="grid gap-x-6 gap-y-3 xl:grid-cols-3">
      {worst.map((score) => (
        <section key={score.label} className="min-w-0">
          <h3 className="font-medium">
            {score.label}{" "}
            <span className="num font-normal text-muted">{formatPercent(score.accuracy)} %</span>
          </h3>
          <ul className="flex flex-col gap-1">
            {score.examples.map((example) => (
              <li key={example.text} className="flex gap-2">
                <span className="min-w-0 grow truncate text-muted" dir="auto" title={example.text}>
                  {example.text}
                </span>
                <span className="shrink-0 text-bad">{example.predicted ?? "unreadable"}</span>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}
