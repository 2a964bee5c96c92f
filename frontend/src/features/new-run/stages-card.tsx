import { Card } from "@/components/card";

const STAGES = [
  [
    "Generate",
    "The teacher reads the prompt and answers every input. Labels are read from what follows its thinking.",
  ],
  ["Train", "The student learns the accepted answers to the bare inputs, without the prompt."],
  [
    "Evaluate",
    "Teacher and student answer the held-out inputs, with and without the prompt: who is right, and how fast.",
  ],
] as const;

/** What a run of prompt distillation does, in order; an interrupted one goes on in its stage. */
export function StagesCard() {
  return (
    <Card title="Three stages in one run">
      <ol className="grid gap-x-6 gap-y-3 md:grid-cols-3">
        {STAGES.map(([title, text], index) => (
          <li key={title} className="flex gap-3">
            <span className="num flex size-5 shrink-0 items-center justify-center rounded-full bg-sunken text-sm text-muted">
              {index + 1}
            </span>
            <span>
              <span className="font-medium">{title}</span>
              <span className="block text-muted">{text}</span>
            </span>
          </li>
        ))}
      </ol>
      <p className="mt-3 text-muted">
        Each stage can be resumed where it stopped, and another run can use its answers again.
      </p>
    </Card>
  );
}
