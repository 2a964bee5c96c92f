import type { LintReport } from "@/api/types";
import { Badge } from "@/components/badge";
import { Figure } from "@/components/card";
import { formatCount } from "@/components/format";

const VERDICTS = {
  ok: { tone: "good", label: "Nothing to mend" },
  warning: { tone: "warn", label: "Usable, with warnings" },
  error: { tone: "bad", label: "Has lines that cannot be used" },
} as const;

/** What the linter found in a file, with line numbers. */
export function LintView({ report, overlap }: { report: LintReport; overlap?: string }) {
  const { tone, label } = VERDICTS[report.verdict];
  return (
    <div className="flex flex-col gap-3">
      <div className="grid grid-cols-4 gap-3">
        <Figure label="Prompts" value={formatCount(report.num_prompts)} />
        <Figure label="With answers" value={formatCount(report.num_answers)} />
        <Figure label="Duplicates" value={formatCount(report.num_duplicates)} />
        {overlap ? <Figure label={overlap} value={formatCount(report.num_leaked)} /> : null}
      </div>
      <div>
        <Badge tone={tone}>{label}</Badge>
      </div>
      {report.findings.length > 0 ? (
        <ul className="max-h-64 divide-y overflow-y-auto rounded-md border">
          {report.findings.map((finding) => (
            <li
              key={`${finding.line} ${finding.code} ${finding.message}`}
              className="flex gap-3 px-2 py-1.5"
            >
              <span className="num w-16 shrink-0 text-muted">
                {finding.line ? `line ${finding.line}` : "file"}
              </span>
              <span className="min-w-0">
                <span className={finding.severity === "error" ? "text-bad" : "text-warn"}>
                  {finding.message}
                </span>{" "}
                <span className="text-muted">{finding.fix}</span>
              </span>
            </li>
          ))}
          {report.num_unlisted > 0 ? (
            <li className="num px-2 py-1.5 text-muted">
              and {formatCount(report.num_unlisted)} more
            </li>
          ) : null}
        </ul>
      ) : null}
    </div>
  );
}
