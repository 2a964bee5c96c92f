import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { runKinds } from "@/api/methods";
import { presets } from "@/api/planning";
import type { Preset } from "@/api/types";
import { Card } from "@/components/card";
import { Prose } from "@/components/prose";
import { useDraft } from "@/features/new-run/draft";
import { methodsOf, presetsOf } from "@/features/new-run/methods";

const DEMO = "demo";

function usePresets() {
  const list = useQuery(presets()).data ?? [];
  const methods = methodsOf(useQuery(runKinds()).data ?? []);
  const take = useDraft((draft) => draft.take);
  const navigate = useNavigate();
  // One of each method; demonstrations, which need no download, come first.
  const recipes = methods.flatMap(({ name }) => presetsOf(name, list).slice(0, 1));
  const open = (preset: Preset, step: string) => {
    take(preset);
    void navigate({ to: "/new/$step", params: { step } });
  };
  return { list, recipes, open };
}

/** The shipped presets, as one click into a planned run. */
export function StartFrom() {
  const { recipes, open } = usePresets();
  return (
    <Card title="Start from" flush>
      <ul className="divide-y">
        {recipes.map((preset) => (
          <li key={preset.name}>
            <button
              type="button"
              onClick={() => open(preset, "models")}
              className="w-full px-3 py-2 text-left hover:bg-hover"
            >
              <span className="font-medium">{preset.title}</span>
              <span className="line-clamp-2 text-sm text-muted">
                <Prose text={preset.description} />
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** What a new workspace shows in place of runs: the shortest way to one, and the way to one's own. */
export function FirstRun() {
  const { list, open } = usePresets();
  const demo = list.find((preset) => preset.name === DEMO);
  return (
    <section className="flex flex-col gap-4 rounded-lg border bg-surface p-6">
      <div>
        <h2 className="text-xl font-semibold">Teach a small model what a big one knows</h2>
        <p className="mt-1 max-w-2xl text-muted">
          The student writes, the teacher grades every token, and the distance between the two is
          what the student learns from. Nothing has been distilled in this workspace yet.
        </p>
      </div>
      <div className="grid gap-3 md:grid-cols-2">
        <Way
          title="Try it now"
          text="A tiny teacher and student come with the program: no download, about a minute. Everything is filled in; look, then press Start."
          disabled={!demo}
          onOpen={() => demo && open(demo, "review")}
          isFirst
        />
        <Way
          title="Plan your own run"
          text="Choose a teacher, a student, prompts to practise on and held-out ones. You see whether both models fit into this machine before anything starts."
          disabled={list.length === 0}
          onOpen={() => {
            const own = list.find((preset) => preset.recommended) ?? list[0];
            if (own) {
              open(own, "models");
            }
          }}
        />
      </div>
      <ol className="grid gap-x-6 gap-y-3 border-t pt-4 md:grid-cols-3">
        {STAGES.map(([title, text], index) => (
          <li key={title} className="flex gap-3">
            <span className="num flex size-5 shrink-0 items-center justify-center rounded-full bg-sunken text-sm text-muted">
              {index + 1}
            </span>
            <span>
              <span className="font-medium">{title}</span>
              <span className="block text-sm text-muted">{text}</span>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

const STAGES = [
  ["Watch it learn", "The distance from the teacher, live, down to single tokens."],
  ["See the proof", "Every run first shows that it can learn, and measures held-out prompts."],
  ["Take it along", "Try the student in the playground, then export it for other programs."],
] as const;

interface WayProps {
  title: string;
  text: string;
  onOpen: () => void;
  disabled: boolean;
  isFirst?: boolean;
}

function Way({ title, text, onOpen, disabled, isFirst = false }: WayProps) {
  return (
    <button
      type="button"
      disabled={disabled}
      onClick={onOpen}
      className={`flex flex-col gap-1 rounded-lg border p-4 text-left hover:border-line-strong hover:bg-hover ${isFirst ? "border-accent bg-accent-soft" : ""}`}
    >
      <span className="text-lg font-medium">{title}</span>
      <span className="text-muted">{text}</span>
    </button>
  );
}
