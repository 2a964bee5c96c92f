import type { ExportOutcome } from "@/api/types";
import { CopyButton } from "@/components/copy-button";
import { Notice } from "@/components/states";
import { measuredRows, measuredSentence } from "@/features/export/measured";

/** What was measured of an export's files, what was lost, and what to type next. */
export function ExportOutcomeView({ outcome }: { outcome: ExportOutcome }) {
  const { measured, remedy } = outcome;
  return (
    <div className="flex flex-col gap-2">
      {outcome.warning ? (
        <Notice
          tone="warn"
          title={outcome.warning}
          action={remedy ? <CopyButton text={remedy} label="Copy the command" /> : undefined}
        >
          {remedy ? <code className="font-mono text-sm break-all">{remedy}</code> : null}
        </Notice>
      ) : null}
      {measured ? (
        <div className="overflow-x-auto">
          <table className="num text-left">
            <caption className="sr-only">Measured of these files</caption>
            <thead className="text-muted">
              <tr>
                <th className="pr-4 font-normal">Measured</th>
                <th className="pr-4 font-normal">base model</th>
                <th className="pr-4 font-normal">with the adapter</th>
                <th className="font-normal">these files</th>
              </tr>
            </thead>
            <tbody>
              {measuredRows(measured).map((row) => (
                <tr key={row.name}>
                  <th className="pr-4 font-normal">{row.name}</th>
                  <td className="pr-4">{row.base}</td>
                  <td className="pr-4">{row.adapter}</td>
                  <td>{row.files}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p className="text-sm text-muted">{measuredSentence(measured)}</p>
        </div>
      ) : (
        <p className="text-muted">Not measured: {outcome.not_measured}</p>
      )}
      {outcome.next.length > 0 ? <NextSteps steps={outcome.next} /> : null}
    </div>
  );
}

function NextSteps({ steps }: { steps: ExportOutcome["next"] }) {
  return (
    <details>
      <summary className="cursor-pointer">What to type next</summary>
      <dl className="flex flex-col gap-1 pt-1">
        {steps.map((step) => (
          <div key={step.program}>
            <dt className="flex items-center gap-1">
              {step.program} <CopyButton text={step.commands.join("\n")} label="Copy" />
            </dt>
            <dd className="font-mono text-sm break-all whitespace-pre-wrap text-muted">
              {step.commands.join("\n")}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
