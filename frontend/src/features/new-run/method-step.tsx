import { useQuery } from "@tanstack/react-query";
import { presets } from "@/api/planning";
import { describeError } from "@/api/problem";
import { Prose } from "@/components/prose";
import { ErrorState, SkeletonRows } from "@/components/states";
import { useDraft } from "@/features/new-run/draft";

/** The method, as one of the shipped presets to start from. */
export function MethodStep() {
  const query = useQuery(presets());
  const { preset: chosen, take } = useDraft();
  if (query.isPending) {
    return <SkeletonRows count={3} />;
  }
  if (query.error) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  return (
    <fieldset className="grid gap-3 lg:grid-cols-3">
      <legend className="mb-3 max-w-2xl text-muted">
        On-policy distillation: the student writes, the teacher grades every token, and the distance
        between the two teaches. Choose what to start from; everything can be changed later.
      </legend>
      {query.data
        .filter((preset) => preset.config.method === "on_policy")
        .map((preset) => (
          <button
            key={preset.name}
            type="button"
            aria-pressed={preset.name === chosen}
            onClick={() => take(preset)}
            className="flex flex-col gap-1 rounded-lg border bg-surface p-3 text-left hover:border-line-strong aria-pressed:border-accent aria-pressed:bg-selected"
          >
            <span className="text-lg font-medium">{preset.title}</span>
            <span className="text-muted">
              <Prose text={preset.description} />
            </span>
          </button>
        ))}
    </fieldset>
  );
}
