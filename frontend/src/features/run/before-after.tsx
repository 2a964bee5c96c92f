import clsx from "clsx";
import { Check, X } from "lucide-react";
import type { BeforeAfter } from "@/api/types";

type Row = BeforeAfter["rows"][number];
type Written = Row["before"];

/** The token that ends a turn says nothing to a reader. */
const END = /<\|[^|<>]*\|>$/;
const THOUGHT_ENDS = "</think>";

/** What an answer says; a thought before it is a sign that there was one. */
export function answerText(text: string): string {
  const whole = text.replace(END, "").trim();
  const end = whole.lastIndexOf(THOUGHT_ENDS);
  return end === -1 ? whole : `… ${whole.slice(end + THOUGHT_ENDS.length).trim()}`;
}

interface AnswersTableProps {
  found: BeforeAfter;
  /** How many prompts there is room for. */
  most?: number;
}

/** The same held-out prompts answered by the student before and after, beside what it learns from. */
export function AnswersTable({ found, most = 4 }: AnswersTableProps) {
  const rows = found.rows.slice(0, most);
  const beside = besideOf(rows);
  return (
    <table className="w-full table-fixed text-left">
      <caption className="sr-only">Held-out prompts, answered before and after</caption>
      <thead className="label">
        <tr className="h-7">
          <th className={clsx("font-normal", beside ? "w-[31%]" : "w-[40%]")}>Held-out prompt</th>
          <th className="pl-3 font-normal">Student before</th>
          <th className="pl-3 font-normal">Student after</th>
          {beside ? <th className="pl-3 font-normal">{beside}</th> : null}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.index} className="border-t align-top">
            <td className="py-1.5 text-muted">
              <p className="line-clamp-3 break-words" title={titleOf(row)} dir="auto">
                {row.prompt}
              </p>
            </td>
            <Answer written={row.before} />
            <Answer written={row.after} />
            {beside === "Teacher" ? <Answer written={row.teacher} /> : null}
            {beside === "In the file" ? <Answer written={given(row)} /> : null}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What the student's answers are to be seen beside: its teacher's, or those that the file gives. */
export function besideOf(rows: readonly Row[]): "Teacher" | "In the file" | null {
  if (rows.some(({ teacher }) => teacher !== null)) {
    return "Teacher";
  }
  return rows.some(({ wanted }) => wanted !== null) ? "In the file" : null;
}

function given({ wanted }: Row): Written | null {
  return wanted === null ? null : { text: wanted, mark: null };
}

function Answer({ written }: { written: Written | null }) {
  if (!written) {
    return <td className="py-1.5 pl-3 text-faint">–</td>;
  }
  const text = answerText(written.text);
  return (
    <td className="py-1.5 pl-3">
      <div className="flex items-start gap-1.5">
        <Mark mark={written.mark} />
        <p className="line-clamp-3 min-w-0 font-mono break-words" title={written.text} dir="auto">
          {text || <span className="font-sans text-faint">nothing</span>}
        </p>
      </div>
    </td>
  );
}

function Mark({ mark }: { mark: number | null }) {
  if (mark === null) {
    return null;
  }
  return mark >= 1 ? (
    <Check aria-label="Right" role="img" className="mt-0.5 size-4 shrink-0 text-good" />
  ) : (
    <X aria-label="Wrong" role="img" className="mt-0.5 size-4 shrink-0 text-bad" />
  );
}

function titleOf({ prompt, wanted }: Row): string {
  return wanted === null ? prompt : `${prompt}\nRight: ${wanted}`;
}

/** How the answers came about, and that none was chosen. */
export function howAnswered({ is_greedy, rows, after_step }: BeforeAfter): string {
  const which = rows.length === 1 ? "The first prompt" : `The first ${rows.length} prompts`;
  const how = is_greedy ? "most likely answers" : "answers sampled at temperature 1";
  const when = after_step === null ? "" : `; after is step ${after_step}, what Export takes`;
  const isPartly = rows.some(({ wanted, after }) => wanted !== null && after.mark === null);
  const marks =
    is_greedy && isPartly ? "; ticked where it is the file's, word for word, thoughts aside" : "";
  return `${which} that the evaluation drew, not chosen; ${how}${marks}${when}.`;
}
