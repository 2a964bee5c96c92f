import type { LintReport } from "@/api/types";
import { Badge } from "@/components/badge";
import { Figure } from "@/components/card";
import { formatCount } from "@/components/format";
import { PictureFacts } from "@/features/data/picture-facts";

const VERDICTS = {
  ok: { tone: "good", label: "No problems found" },
  warning: { tone: "warn", label: "Usable, with warnings" },
  error: { tone: "bad", label: "Has lines that cannot be used" },
} as const;

/** Too much overlap is an error that is in no line by itself. */
function verdictOf(report: LintReport) {
  const isOverlap = report.num_errors === 1 && (report.counts["overlap"] ?? 0) === 1;
  return isOverlap
    ? ({ tone: "bad", label: "Shares too much with the other set" } as const)
    : VERDICTS[report.verdict];
}

interface LintViewProps {
  report: LintReport;
  /** What the lines are called. */
  noun?: string;
  answered?: string;
  /** What it is called that another file has a line too; left out where there is no other. */
  overlap?: string;
}

/** What the linter found in a file, with line numbers. */
export function LintView({
  report,
  noun = "Prompts",
  answered = "With answers",
  overlap,
}: LintViewProps) {
  const { tone, label } = verdictOf(report);
  return (
    <div className="flex flex-col gap-3">
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        <Figure label={noun} value={formatCount(report.num_prompts)} />
        <Figure label={answered} value={formatCount(report.num_answers)} />
        <Figure label="Duplicates" value={formatCount(report.num_duplicates)} />
        {overlap ? <Figure label={overlap} value={formatCount(report.num_leaked)} /> : null}
      </div>
      {report.pictures ? <PictureFacts facts={report.pictures} overlap={overlap} /> : null}
      <div>
        <Badge tone={tone}>{label}</Badge>
      </div>
      {report.findings.length > 0 ? (
        <section
          aria-label="Findings"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
          tabIndex={0}
          className="max-h-64 overflow-y-auto rounded-md border"
        >
          <ul className="divide-y">
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
                  <OtherLines finding={finding} />
                </span>
              </li>
            ))}
            {report.num_unlisted > 0 ? (
              <li className="num px-2 py-1.5 text-muted">
                and {formatCount(report.num_unlisted)} more
              </li>
            ) : null}
          </ul>
        </section>
      ) : null}
    </div>
  );
}

/** Of how many lines the same is true, and which are the first of them. */
function OtherLines({ finding }: { finding: LintReport["findings"][number] }) {
  const { num_lines: count = 1, lines = [] } = finding;
  if (count === 1) {
    return null;
  }
  return (
    <span className="num block text-sm text-faint">
      {formatCount(count)} lines: {lines.join(", ")}
      {count > lines.length ? ", ..." : ""}
    </span>
  );
}
