import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ANSWERS_PER_PAGE, type Answer, answerPage, type Only } from "@/api/evaluations";
import { describeError } from "@/api/problem";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { ScrolledText } from "@/components/scrolled-text";
import { ErrorState, SkeletonRows } from "@/components/states";
import { Segments } from "@/components/tabs";

const CHOICES: readonly { value: Only; label: string }[] = [
  { value: "wrong", label: "Wrong" },
  { value: "unparseable", label: "Unreadable" },
  { value: "right", label: "Right" },
  { value: "all", label: "All" },
];

/** A variant's answers, wrong ones first to hand. */
export function Answers({ runId, variant }: { runId: string; variant: string }) {
  const [only, setOnly] = useState<Only>("wrong");
  const [page, setPage] = useState(0);
  const query = useQuery(answerPage(runId, variant, only, page));
  const total = query.data?.total ?? 0;
  const last = Math.max(Math.ceil(total / ANSWERS_PER_PAGE) - 1, 0);
  return (
    <Card
      title={`Answers (${total})`}
      flush
      actions={
        <Segments
          label="Which answers"
          value={only}
          choices={CHOICES}
          onChange={(value) => {
            setOnly(value);
            setPage(0);
          }}
        />
      }
    >
      {query.error ? (
        <ErrorState {...describeError(query.error)} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <SkeletonRows count={4} />
      ) : total === 0 ? (
        <p className="p-3 text-muted">There are none.</p>
      ) : (
        query.data.answers.map((answer) => <AnswerRow key={answer.index} answer={answer} />)
      )}
      {last > 0 ? (
        <div className="flex items-center gap-2 border-t p-2">
          <Button size="sm" disabled={page === 0} onClick={() => setPage(page - 1)}>
            Before
          </Button>
          <span className="num text-sm text-muted">
            {page + 1} of {last + 1}
          </span>
          <Button size="sm" disabled={page >= last} onClick={() => setPage(page + 1)}>
            Next
          </Button>
        </div>
      ) : null}
    </Card>
  );
}

function AnswerRow({ answer }: { answer: Answer }) {
  const isRight = answer.gold !== null && answer.predicted === answer.gold;
  return (
    <details className="border-t first:border-t-0">
      <summary className="flex min-h-8 items-center gap-3 px-3 py-1 hover:bg-hover">
        <span className="min-w-0 grow truncate" dir="auto">
          {answer.text}
        </span>
        {answer.gold === null ? null : (
          <span className="max-w-40 shrink-0 truncate text-sm text-muted" title={answer.gold}>
            gold {answer.gold}
          </span>
        )}
        <Badge tone={answer.gold === null ? "neutral" : isRight ? "good" : "bad"}>
          {answer.predicted ?? "unreadable"}
        </Badge>
      </summary>
      <ScrolledText
        label="The reply"
        text={answer.reply || "The reply is empty."}
        className="max-h-60 bg-sunken px-3 py-2"
        wrap
      />
    </details>
  );
}
