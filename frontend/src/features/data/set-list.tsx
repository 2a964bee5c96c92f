import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { useState } from "react";
import { beginLooks, smallLooks } from "@/api/prompt-sets";
import type { PromptSet } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatBytes, formatPlural } from "@/components/format";
import { Input } from "@/components/input";
import { EmptyState } from "@/components/states";
import { foundSets, isPending, sortedSets, uncheckedSets } from "@/features/data/set-rows";
import { SetTable } from "@/features/data/set-table";
import { showError } from "@/features/runs/run-actions";

/** All sets in one table; small ones are checked as soon as it is looked at, large ones when asked. */
export function SetList({ sets }: { sets: readonly PromptSet[] }) {
  const { sort } = useSearch({ from: "/data" });
  const navigate = useNavigate({ from: "/data" });
  const [words, setWords] = useState("");
  useQuery(smallLooks());
  const check = useMutation({ mutationFn: beginLooks, onError: showError });
  const found = sortedSets(foundSets(sets, words), sort);
  return (
    <Card
      title={formatPlural(sets.length, "set")}
      flush
      actions={
        <>
          <Progress sets={sets} onCheck={(ids) => check.mutate(ids)} />
          <Input
            type="search"
            icon={<Search aria-hidden />}
            aria-label="Search sets"
            placeholder="Name, kind or path"
            value={words}
            onChange={(event) => setWords(event.target.value)}
            className="w-52 [&_input]:h-6"
          />
        </>
      }
    >
      {found.length === 0 ? (
        <EmptyState title={sets.length === 0 ? "No files yet" : "No sets match"}>
          {sets.length === 0
            ? "Add what to learn from, and held-out lines of their own."
            : "Search for other words."}
        </EmptyState>
      ) : (
        <SetTable
          sets={found}
          all={sets}
          sort={sort}
          onSort={(next) => void navigate({ search: (now) => ({ ...now, sort: next }) })}
          onCheck={(set) => check.mutate([set.id])}
        />
      )}
    </Card>
  );
}

interface ProgressProps {
  sets: readonly PromptSet[];
  onCheck: (setIds: string[]) => void;
}

/** How far the checking is, or how much there is to check. */
function Progress({ sets, onCheck }: ProgressProps) {
  const pending = sets.filter(isPending);
  const unchecked = uncheckedSets(sets);
  const bytes = (some: readonly PromptSet[]) =>
    formatBytes(some.reduce((sum, set) => sum + set.num_bytes, 0));
  if (pending.length > 0) {
    return (
      <span role="status" className="num mr-2 text-sm text-muted">
        Checking: {formatPlural(pending.length, "set")} left, {bytes(pending)}
      </span>
    );
  }
  return unchecked.length > 1 ? (
    <Button size="sm" onClick={() => onCheck(unchecked.map(({ id }) => id))}>
      Check {formatPlural(unchecked.length, "set")}, {bytes(unchecked)}
    </Button>
  ) : null;
}
