import type { FormField } from "@/api/types";
import { type MethodId, useMethod } from "@/features/new-run/methods";
import { SettingsGroup } from "@/features/new-run/settings-group";
import { StagesCard } from "@/features/new-run/stages-card";

interface Section {
  group: FormField["group"];
  title: string;
  intro?: string;
}

const HOW: readonly Section[] = [
  { group: "adapter", title: "The adapter" },
  { group: "optimizer", title: "How fast it learns" },
  { group: "evaluation", title: "Evaluations" },
  { group: "teacher", title: "Teacher and its cache" },
  { group: "memory", title: "Memory" },
  { group: "run", title: "The run" },
];

const SCORED: readonly Section[] = [
  {
    group: "objective",
    title: "What is learned",
    intro:
      "Reverse KL makes the student avoid what the teacher finds unlikely; forward KL makes it cover everything the teacher says. At temperature 1 both compare the models as they are.",
  },
  { group: "sampling", title: "What the student writes" },
  ...HOW,
];

/** What each method asks first; a group that a method does not have is not shown. */
const SECTIONS: Readonly<Record<MethodId, readonly Section[]>> = {
  on_policy: SCORED,
  vlm_distillation: SCORED,
  projector: [
    {
      group: "objective",
      title: "What learns",
      intro:
        "A linear projector can be folded into the tower afterwards; two layers can say more and cannot.",
    },
    { group: "sampling", title: "Questions at the end" },
    ...HOW,
  ],
  prompt_distillation: [
    {
      group: "sampling",
      title: "What the teacher answers",
      intro:
        "An answer without a readable label is tried again. With several samples you decide how many have to agree; an input without an accepted answer is kept apart with the reason and not learned.",
    },
    {
      group: "objective",
      title: "What is learned",
      intro:
        "sft learns what the teacher said, as text. on policy lets the student answer by itself, and the teacher, which sees the prompt, grades the same tokens.",
    },
    ...HOW,
  ],
  sft: [...HOW],
  grpo: [
    {
      group: "objective",
      title: "What is rewarded",
      intro:
        "A completion's reward is the weighted sum of these. It is compared with those of the other completions of the same prompt: what is better than they are becomes likelier. Where all are worth the same, nothing is learned.",
    },
    { group: "sampling", title: "What the model writes" },
    ...HOW,
  ],
};

export function ObjectiveStep() {
  const { name, face } = useMethod();
  return (
    <div className="flex flex-col gap-3">
      {face.stages.length > 0 ? <StagesCard /> : null}
      {SECTIONS[name].map((section) => (
        <SettingsGroup key={section.group} {...section} />
      ))}
    </div>
  );
}
