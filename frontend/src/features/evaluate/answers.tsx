import { useQuery } from "@tanstack/react-query";
import { Search, X } from "lucide-react";
import { type Ref, useState } from "react";
import { ANSWERS_PER_PAGE, type AnswerFilter, answerPage, type Only } from "@/api/evaluations";
import { describeError } from "@/api/problem";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatCount } from "@/components/format";
import { Input } from "@/components/input";
import { ErrorState, SkeletonRows } from "@/components/states";
import { Segments } from "@/components/tabs";
import { AnswerTable } from "@/features/evaluate/answer-table";

const CHOICES: readonly { value: Only; label: string }[] = [
  { value: "wrong", label: "Wrong" },
  { value: "unparseable", label: "Unreadable" },
  { value: "right", label: "Right" },
  { value: "all", label: "All" },
];

interface AnswersProps {
  runId: string;
  variant: string;
  filter: AnswerFilter;
  onFilter: (filter: AnswerFilter) => void;
  place?: Ref<HTMLDivElement>;
}

/** A variant's answers beside what was expected, wrong ones first to hand. */
export function Answers({ runId, variant, filter, onFilter, place }: AnswersProps) {
  const [page, setPage] = useState(0);
  const [of, setOf] = useState(filter);
  if (of !== filter) {
    // Other answers are wanted: they begin with their first page.
    setOf(filter);
    setPage(0);
  }
  const query = useQuery(answerPage(runId, variant, filter, page));
  const total = query.data?.total ?? 0;
  return (
    <div ref={place} className="min-w-0 scroll-mt-3">
      <Card title={`Answers (${formatCount(total)})`} flush>
        <div className="flex flex-wrap items-center gap-2 border-b px-3 py-2">
          <Segments
            label="Which answers"
            value={filter.only ?? "all"}
            choices={CHOICES}
            onChange={(only) => onFilter({ ...filter, only })}
          />
          <LabelFilter filter={filter} onFilter={onFilter} />
          <Input
            icon={<Search aria-hidden />}
            aria-label="Search the answers"
            placeholder="In item or reply"
            value={filter.words ?? ""}
            onChange={(event) => onFilter({ ...filter, words: event.target.value })}
            className="ml-auto w-56 [&_input]:h-6"
          />
        </div>
        {query.error ? (
          <ErrorState {...describeError(query.error)} retry={() => void query.refetch()} />
        ) : !query.data ? (
          <SkeletonRows count={4} />
        ) : total === 0 ? (
          <p className="p-3 text-muted">No answer is like that.</p>
        ) : (
          <AnswerTable answers={query.data.answers} />
        )}
        <Pages page={page} total={total} onPage={setPage} />
      </Card>
    </div>
  );
}

/** What a press on a label or a confusion narrowed the list to, and the way back. */
function LabelFilter({ filter, onFilter }: Pick<AnswersProps, "filter" | "onFilter">) {
  const { gold, predicted } = filter;
  if (!gold && !predicted) {
    return null;
  }
  return (
    <Button
      size="sm"
      icon={<X aria-hidden />}
      title="Answers of every label"
      onClick={() => onFilter({ ...filter, gold: null, predicted: null })}
    >
      {[gold ? `expected ${gold}` : "", predicted ? `got ${predicted}` : ""]
        .filter(Boolean)
        .join(", ")}
    </Button>
  );
}

interface PagesProps {
  page: number;
  total: number;
  onPage: (page: number) => void;
}

function Pages({ page, total, onPage }: PagesProps) {
  const last = Math.max(Math.ceil(total / ANSWERS_PER_PAGE) - 1, 0);
  return last === 0 ? null : (
    <div className="flex items-center gap-2 border-t p-2">
      <Button size="sm" disabled={page === 0} onClick={() => onPage(page - 1)}>
        Before
      </Button>
      <span className="num text-sm text-muted">
        {page + 1} of {last + 1}
      </span>
      <Button size="sm" disabled={page >= last} onClick={() => onPage(page + 1)}>
        Next
      </Button>
    </div>
  );
}
