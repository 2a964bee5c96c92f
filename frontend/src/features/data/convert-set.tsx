import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { convertSet, setLayout } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { PromptSet, SetLayout } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatCount } from "@/components/format";
import { Select } from "@/components/select";
import { givenTwice, mappingOf, UNUSED } from "@/features/data/mapped-columns";
import { showError } from "@/features/runs/run-actions";

const GUESSED = "guessed";

interface ConvertSetProps {
  set: PromptSet;
  onSet: (set: PromptSet) => void;
}

/** Makes a set of another layout into one that is trained on; the columns can be named by hand. */
export function ConvertSet({ set, onSet }: ConvertSetProps) {
  const layout = useQuery(setLayout(set.id));
  const [isOpen, setOpen] = useState(false);
  if (!layout.data) {
    return null;
  }
  const found = layout.data;
  return (
    <Card
      title="Convert"
      actions={
        found.is_ready ? (
          <Button size="sm" onClick={() => setOpen(!isOpen)}>
            {isOpen ? "Close" : "Convert this set"}
          </Button>
        ) : null
      }
    >
      <p className="text-muted">
        {found.layout === null
          ? "The layout of this file is not known: say below what its columns are."
          : found.is_ready
            ? `Its lines are ${found.layout}, which are used as they are.`
            : `Its lines have the layout of ${found.layout}, which is converted before it is used.`}
      </p>
      {isOpen || !found.is_ready ? <Form set={set} found={found} onSet={onSet} /> : null}
    </Card>
  );
}

function Form({ set, found, onSet }: ConvertSetProps & { found: SetLayout }) {
  const [layout, setChosen] = useState(GUESSED);
  const [form, setForm] = useState<string>(GUESSED);
  const [meanings, setMeanings] = useState<Record<string, string>>({});
  const twice = givenTwice(meanings);
  const convert = useMutation({
    mutationFn: () =>
      convertSet(set.id, {
        layout: layout === GUESSED ? null : layout,
        form: found.forms.find((each) => each === form) ?? null,
        mapping: mappingOf(meanings),
      }),
    onSuccess: async (made) => {
      await queryClient.invalidateQueries({ queryKey: ["prompt-sets"] });
      const left = made.num_left_out > 0 ? `, ${formatCount(made.num_left_out)} left out` : "";
      toast(`Read as ${made.layout}: ${formatCount(made.num_lines)} lines written${left}.`);
      onSet(made.set);
    },
    onError: showError,
  });
  return (
    <div className="mt-3 flex flex-col gap-3">
      <div className="flex flex-wrap gap-2">
        <Select
          label="Layout of the lines"
          value={layout}
          onChange={setChosen}
          choices={[
            {
              value: GUESSED,
              label: found.layout ? `Read as ${found.layout}` : "Guess the layout",
            },
            ...found.layouts.map((each) => ({ value: each, label: `Read as ${each}` })),
          ]}
          size="sm"
        />
        <Select
          label="What each line becomes"
          value={form}
          onChange={setForm}
          choices={[
            { value: GUESSED, label: "To the usual form" },
            ...found.forms.map((each) => ({ value: each, label: `To ${each}` })),
          ]}
          size="sm"
        />
      </div>
      <ul className="grid gap-2 sm:grid-cols-2">
        {found.columns.map((column) => (
          <li key={column} className="flex min-w-0 items-center justify-between gap-2">
            <span className="truncate font-mono text-sm">
              {/^\d+$/.test(column) ? `column ${column}, where no heading is` : column}
            </span>
            <Select
              label={`What ${column} is`}
              value={meanings[column] ?? UNUSED}
              onChange={(meaning) => setMeanings({ ...meanings, [column]: meaning })}
              choices={[
                { value: UNUSED, label: "as it is" },
                ...found.meanings.map((each) => ({ value: each, label: each })),
              ]}
              size="sm"
            />
          </li>
        ))}
      </ul>
      <div className="flex items-center gap-3">
        <Button
          look="primary"
          disabled={twice !== undefined}
          busy={convert.isPending}
          onClick={() => convert.mutate()}
        >
          Convert
        </Button>
        {twice ? <span className="text-bad">Two columns are said to be {twice}.</span> : null}
      </div>
    </div>
  );
}
