import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { createRun } from "@/api/runs";
import type { RunSummary } from "@/api/types";
import { learnRun } from "@/api/workspace";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { Card } from "@/components/card";
import { Input } from "@/components/input";
import { Select } from "@/components/select";
import { settingOf, useDraft, valueIn } from "@/features/new-run/draft";
import { useMethod } from "@/features/new-run/methods";
import { asksBack, Refusals } from "@/features/new-run/refusals";
import { wordsOf } from "@/features/new-run/setting-text";
import { useRelevantFields } from "@/features/new-run/settings-group";
import { configOf, tagOf, type Variant, variantsOf, variedFields } from "@/features/new-run/sweep";
import { showError } from "@/features/runs/run-actions";

const USUAL = "learning_rate";

/** Queues several runs that differ in one setting, and leads to their comparison. */
export function SweepCard({ canStart }: { canStart: boolean }) {
  const { config } = useDraft();
  const { block } = useMethod();
  const fields = variedFields(useRelevantFields() ?? []);
  const [key, setKey] = useState(`${block}.${USUAL}`);
  const [text, setText] = useState("");
  const field = fields.find((each) => each.key === key);
  const name = wordsOf(settingOf(config, `${block}.run_name`)) || "sweep";
  const { variants, mistake } = field ? variantsOf(field, text, name) : { variants: [] };
  const { made, queue } = useQueue(key, variants);
  if (made.length > 0 && queue.isSuccess) {
    return <Queued runs={made} />;
  }
  return (
    <Card title="Several runs, one setting varied">
      <Values
        fields={fields}
        chosen={key}
        now={field ? wordsOf(valueIn(config, field)) : ""}
        onChoose={setKey}
        text={text}
        onText={setText}
        mistake={text.trim() === "" ? undefined : mistake}
      />
      <ul aria-label="Runs to queue" className="mt-2 flex flex-wrap gap-1">
        {variants.map((variant) => (
          <li key={variant.name} className="num rounded-sm bg-hover px-1.5 text-sm">
            {variant.name}
          </li>
        ))}
      </ul>
      <Button
        className="mt-3"
        disabled={!canStart || variants.length === 0}
        busy={queue.isPending}
        onClick={() => queue.mutate({ anyway: false, confirm: false })}
      >
        {variants.length > 0 ? `Queue ${variants.length} runs` : "Queue them"}
      </Button>
      <Refusals
        error={queue.error}
        onAnyway={() => queue.mutate({ anyway: true, confirm: queue.variables?.confirm ?? false })}
        onConfirm={() => queue.mutate({ anyway: queue.variables?.anyway ?? false, confirm: true })}
      />
    </Card>
  );
}

/** Makes the runs one after another; what was made before a refusal is not made again. */
function useQueue(key: string, variants: readonly Variant[]) {
  const { config } = useDraft();
  const [made, setMade] = useState<readonly RunSummary[]>([]);
  const queue = useMutation({
    mutationFn: async (how: { anyway: boolean; confirm: boolean }) => {
      const tag = made[0]?.annotations.tags?.[0] ?? tagOf(key, new Date());
      for (const variant of variants) {
        if (made.some((run) => run.name === variant.name)) {
          continue;
        }
        const run = await createRun({
          config: configOf(config, key, variant),
          start: true,
          ...how,
          annotations: {
            name: variant.name,
            tags: [tag],
            note: "",
            favourite: false,
            archived: false,
          },
        });
        learnRun(run);
        setMade((before) => [...before, run]);
      }
    },
    onError: (error) => {
      if (!asksBack(error)) {
        showError(error);
      }
    },
  });
  return { made, queue };
}

interface ValuesProps {
  fields: ReturnType<typeof variedFields>;
  chosen: string;
  /** The value that the draft has. */
  now: string;
  onChoose: (key: string) => void;
  text: string;
  onText: (text: string) => void;
  mistake: string | undefined;
}

function Values({ fields, chosen, now, onChoose, text, onText, mistake }: ValuesProps) {
  const id = useId();
  return (
    <>
      <p className="mb-3 text-muted">
        One run for each value, one after another; everything else is as it is here.
      </p>
      <div className="flex flex-wrap gap-2">
        <Select
          label="Setting to vary"
          value={chosen}
          choices={fields.map((field) => ({ value: field.key, label: field.title }))}
          onChange={onChoose}
          className="w-56"
        />
        <Input
          aria-label="Values, with commas between them"
          aria-describedby={id}
          aria-invalid={mistake !== undefined}
          placeholder={`now ${now || "empty"}`}
          value={text}
          spellCheck={false}
          onChange={(event) => onText(event.target.value)}
          className="min-w-48 grow"
        />
      </div>
      <p id={id} className={mistake ? "mt-1 text-sm text-bad" : "mt-1 text-sm text-muted"}>
        {mistake ?? "Two to eight values, with commas between them."}
      </p>
    </>
  );
}

function Queued({ runs }: { runs: readonly RunSummary[] }) {
  return (
    <Card title={`${runs.length} runs are queued`}>
      <ul className="mb-3 flex flex-col gap-1">
        {runs.map((run) => (
          <li key={run.run_id} className="num truncate">
            {run.name}
          </li>
        ))}
      </ul>
      <div className="flex gap-2">
        <ButtonLink to="/compare" search={{ run: runs.map(({ run_id }) => run_id) }} look="primary">
          Compare them
        </ButtonLink>
        <ButtonLink to="/runs">Show all runs</ButtonLink>
      </div>
    </Card>
  );
}
