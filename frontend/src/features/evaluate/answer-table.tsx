import { ChevronRight } from "lucide-react";
import { useState } from "react";
import type { Answer } from "@/api/evaluations";
import { Badge } from "@/components/badge";
import { CopyButton } from "@/components/copy-button";
import { formatNumber, formatPlural } from "@/components/format";
import { ScrolledText } from "@/components/scrolled-text";

/** Item, what was expected and what came, side by side; a row opens to the whole of both. */
export function AnswerTable({ answers }: { answers: readonly Answer[] }) {
  return (
    <table className="w-full table-fixed">
      <thead>
        <tr className="h-8">
          <th className="label px-3 text-left font-normal">Item</th>
          <th className="label w-[22%] px-3 text-left font-normal">Expected</th>
          <th className="label w-[28%] px-3 text-left font-normal">Got</th>
        </tr>
      </thead>
      {answers.map((answer) => (
        <AnswerRows key={answer.index} answer={answer} />
      ))}
    </table>
  );
}

function AnswerRows({ answer }: { answer: Answer }) {
  const [isOpen, setOpen] = useState(false);
  const { gold, predicted, text } = answer;
  const tone = gold === null ? "neutral" : predicted === gold ? "good" : "bad";
  return (
    <tbody className="border-t">
      <tr className="h-8 hover:bg-hover">
        <td className="p-0">
          <button
            type="button"
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
            className="flex h-8 w-full items-center gap-2 px-3 text-left"
          >
            <ChevronRight
              aria-hidden
              className={`size-3 shrink-0 text-faint ${isOpen ? "rotate-90" : ""}`}
            />
            <span className="min-w-0 truncate" dir="auto">
              {text}
            </span>
          </button>
        </td>
        <td className="num truncate px-3" dir="auto" title={gold ?? undefined}>
          {gold ?? <span className="text-faint">not known</span>}
        </td>
        <td className="num truncate px-3" title={predicted ?? undefined}>
          <Badge tone={tone}>{predicted ?? "unreadable"}</Badge>
        </td>
      </tr>
      {isOpen ? (
        <tr>
          <td colSpan={3} className="bg-sunken p-3">
            <Whole answer={answer} />
          </td>
        </tr>
      ) : null}
    </tbody>
  );
}

function Whole({ answer }: { answer: Answer }) {
  const { text, reply, num_tokens, seconds, finish_reason } = answer;
  const cut = finish_reason === "length" ? ", cut at the longest answer" : "";
  return (
    <div className="grid gap-3 md:grid-cols-2">
      <Side title="The item" text={text} said="" />
      <Side
        title="The reply"
        text={reply}
        said={`${formatPlural(num_tokens, "token")}, ${formatNumber(seconds, 2)} s${cut}`}
      />
    </div>
  );
}

function Side({ title, text, said }: { title: string; text: string; said: string }) {
  return (
    <div className="min-w-0">
      <h3 className="flex items-center justify-between gap-2">
        <span className="label">
          {title} <span className="num text-faint">{said}</span>
        </span>
        <CopyButton label={`Copy ${title.toLowerCase()}`} text={text} />
      </h3>
      <ScrolledText
        label={title}
        text={text || "It is empty."}
        className="max-h-60 rounded-md border bg-surface px-2 py-1.5"
        wrap
      />
    </div>
  );
}
