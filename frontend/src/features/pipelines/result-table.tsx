import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Baseline, PipelineTable, VariantRow } from "@/api/pipelines";
import { formatDuration, formatGigabytes, formatNumber, formatPercent } from "@/components/format";
import { intervalText, withInterval } from "@/components/interval";
import { IntervalBar } from "@/components/interval-bar";

const HEADS = [
  ["Right %", "95 % interval"],
  ["Behind the best", "95 % interval, points"],
  ["Tokens an answer", "and time"],
  ["Readable %", "cut short %"],
  ["Peak GB", "and in training"],
  ["Trained for", "with stages before"],
] as const;

/** What each variant reaches on the same items and what it costs; rules stand below. */
export function ResultTable({ table }: { table: PipelineTable }) {
  const rules = table.baselines.map((rule) => rule.accuracy);
  return (
    <div className="overflow-x-auto">
      <table className="num w-full">
        <thead>
          <tr className="label h-11 align-middle">
            <th className="px-3 text-left font-normal">Variant</th>
            <th className="px-2 font-normal">
              <span className="flex justify-between">
                <span>0</span>
                <span>right answers, %</span>
                <span>100</span>
              </span>
            </th>
            {HEADS.map(([first, second]) => (
              <th key={first} className="px-2 text-right font-normal whitespace-nowrap">
                {first}
                <span className="block text-faint">{second}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.variants.map((row) => (
            <VariantLine key={row.name} row={row} best={table.best} rules={rules} />
          ))}
          {table.baselines.map((rule) => (
            <RuleLine key={rule.rule} rule={rule} rules={rules} numItems={table.num_items} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface VariantLineProps {
  row: VariantRow;
  best: string;
  rules: readonly number[];
}

function VariantLine({ row, best, rules }: VariantLineProps) {
  const accuracy = formatPercent(row.accuracy);
  const interval = intervalText(row.interval, "share");
  return (
    <tr className="h-11 border-t">
      <th className="px-3 text-left font-medium whitespace-nowrap">
        <Link to="/evaluate" search={{ run: row.evaluation_run_id }} className="hover:underline">
          {row.name}
        </Link>
        <span className="block text-sm font-normal text-muted">{row.model}</span>
      </th>
      <td className="w-1/4 px-2">
        <IntervalBar
          share={row.accuracy}
          {...row.interval}
          rules={rules}
          isAmongBest={row.is_as_good_as_best}
          label={`${row.name}: ${withInterval(`${accuracy} %`, row.interval, "share")}`}
        />
      </td>
      <Two first={accuracy} second={interval} />
      <BehindCell row={row} best={best} />
      <Two first={row.tokens_per_answer.toFixed(1)} second={answerTime(row.seconds_per_answer)} />
      <Two first={formatPercent(row.parse_rate)} second={formatPercent(row.truncated_share)} />
      <Two first={memoryText(row.answer_peak_gb)} second={memoryText(row.train_peak_gb)} />
      <Two
        first={formatDuration(row.train_seconds)}
        second={formatDuration(row.all_train_seconds)}
      />
    </tr>
  );
}

/** The distance to the best, or that there is none within the interval. */
function BehindCell({ row, best }: { row: VariantRow; best: string }) {
  if (row.name === best) {
    return <Two first="the best" second="" />;
  }
  return (
    <Two
      first={row.is_as_good_as_best ? "as good" : formatPercent(row.behind_best)}
      second={intervalText(row.behind_interval, "share") || "–"}
    />
  );
}

interface RuleLineProps {
  rule: Baseline;
  rules: readonly number[];
  numItems: number;
}

/** A rule that looks at the items alone; whatever learned has to be better. */
function RuleLine({ rule, rules, numItems }: RuleLineProps) {
  const accuracy = formatPercent(rule.accuracy);
  const of = rule.num_items === numItems ? "" : `, on ${rule.num_items} items`;
  return (
    <tr className="h-11 border-t text-muted">
      <th className="px-3 text-left font-normal whitespace-nowrap">
        rule: {rule.rule}
        {of}
      </th>
      <td className="px-2">
        <IntervalBar
          share={rule.accuracy}
          {...rule.interval}
          rules={rules}
          isAmongBest={false}
          label={`Rule ${rule.rule}: ${withInterval(`${accuracy} %`, rule.interval, "share")}`}
        />
      </td>
      <Two first={accuracy} second={intervalText(rule.interval, "share")} />
      <td className="px-2 text-left text-sm" colSpan={HEADS.length - 1}>
        {rule.says}
      </td>
    </tr>
  );
}

/** Two figures of one kind, the second one below and muted. */
function Two({ first, second }: { first: ReactNode; second: ReactNode }) {
  return (
    <td className="px-2 text-right whitespace-nowrap">
      {first}
      <span className="block text-sm text-muted">{second}</span>
    </td>
  );
}

function answerTime(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : formatDuration(seconds);
}

/** Tiny models need megabytes, which a decimal of a gigabyte would call nothing. */
function memoryText(gigabytes: number | null): string {
  if (gigabytes === null) {
    return "–";
  }
  return gigabytes < 1 ? formatNumber(gigabytes, 2) : formatGigabytes(gigabytes);
}
