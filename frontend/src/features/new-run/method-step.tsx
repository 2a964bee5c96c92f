import { useQuery } from "@tanstack/react-query";
import { presets } from "@/api/planning";
import { describeError } from "@/api/problem";
import type { Preset } from "@/api/types";
import { Badge } from "@/components/badge";
import { Prose } from "@/components/prose";
import { ErrorState, SkeletonRows } from "@/components/states";
import { useDraft } from "@/features/new-run/draft";
import { type Method, presetsOf, useMethod, useMethods } from "@/features/new-run/methods";
import { RunChoice } from "@/features/new-run/run-choice";
import { useTitles } from "@/features/new-run/setting-field";
import { inWords } from "@/features/new-run/setting-words";

/** The method first, then one of its shipped presets to start from. */
export function MethodStep() {
  const query = useQuery(presets());
  if (query.isPending) {
    return <SkeletonRows count={3} />;
  }
  if (query.error) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  return (
    <div className="flex flex-col gap-6">
      <MethodChoice known={query.data} />
      <PresetChoice known={query.data} />
      <RunChoice />
    </div>
  );
}

const CARD =
  "flex flex-col gap-1 rounded-lg border bg-surface p-3 text-left hover:border-line-strong aria-pressed:border-accent aria-pressed:bg-selected";

function MethodChoice({ known }: { known: readonly Preset[] }) {
  const turnTo = useDraft((draft) => draft.turnTo);
  const chosen = useMethod();
  return (
    <fieldset className="grid gap-3 lg:grid-cols-3">
      <legend className="mb-3 text-lg font-medium">What should the student learn from?</legend>
      {useMethods().map((method) => {
        const [first] = presetsOf(method.name, known);
        return (
          <button
            key={method.name}
            type="button"
            aria-pressed={method.name === chosen.name}
            disabled={!first}
            onClick={() => first && turnTo(first)}
            className={CARD}
          >
            <MethodWords method={method} />
          </button>
        );
      })}
    </fieldset>
  );
}

function MethodWords({ method }: { method: Method }) {
  return (
    <>
      <span className="text-lg font-medium">{method.title}</span>
      <span className="text-muted">{method.about}</span>
      <span className="mt-auto grid grid-cols-[auto_minmax(0,1fr)] gap-x-2 gap-y-1 pt-2">
        <span className="text-faint">Needs</span>
        <span>{method.needs}</span>
        <span className="text-faint">Gives</span>
        <span>{method.gives}</span>
      </span>
    </>
  );
}

function PresetChoice({ known }: { known: readonly Preset[] }) {
  const { preset: chosen, take } = useDraft();
  const { name, block } = useMethod();
  const titles = useTitles(block);
  return (
    <fieldset className="grid gap-3 lg:grid-cols-3">
      <legend className="mb-3">
        <span className="text-lg font-medium">What to start from</span>
        <span className="ml-2 text-muted">Everything can be changed later.</span>
      </legend>
      {presetsOf(name, known).map((preset) => (
        <button
          key={preset.name}
          type="button"
          aria-pressed={preset.name === chosen}
          onClick={() => take(preset)}
          className={CARD}
        >
          <span className="flex items-center gap-2 font-medium">
            {preset.title}
            {preset.recommended && <Badge tone="accent">Recommended</Badge>}
          </span>
          <span className="text-muted">
            <Prose text={inWords(preset.description, titles)} />
          </span>
        </button>
      ))}
    </fieldset>
  );
}
