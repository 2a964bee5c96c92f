import type { CheckReport, FileSetting } from "@/api/types";
import { Button } from "@/components/button";
import { formatPlural } from "@/components/format";
import { Notice } from "@/components/states";
import { useApart } from "@/features/data/apart";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { slotsOf } from "@/features/new-run/files";
import { useMethod } from "@/features/new-run/methods";

/** What is done in one click against held-out lines that are trained on: new sets without them. */
export function LeakRemedies({ report }: { report: CheckReport }) {
  const { config, set } = useDraft();
  const method = useMethod();
  const slots = slotsOf(method);
  const keyOf = (part: FileSetting["part"]) => slots.find((slot) => slot.part === part)?.key;
  const [trainingKey, heldOutKey] = [keyOf("prompts"), keyOf("validation")];
  const { separate, split } = useApart((made) => {
    if (trainingKey && heldOutKey) {
      set(trainingKey, made.training.path);
      set(heldOutKey, made.held_out.path);
    }
  });
  const leak = report.findings.find(({ code }) => code === "leaked");
  const holds = method.files.find(({ part }) => part === "prompts")?.holds;
  const training = trainingKey && settingOf(config, trainingKey);
  const heldOut = heldOutKey && settingOf(config, heldOutKey);
  if (!leak || typeof training !== "string" || typeof heldOut !== "string") {
    return null;
  }
  const files = {
    training,
    heldOut,
    readAs: holds && holds !== "text" ? holds : "inputs",
  } as const;
  const numLeaked = report.validation?.num_leaked ?? 0;
  const isAll = numLeaked >= (report.prompts?.num_prompts ?? 0);
  const isBusy = separate.isPending || split.isPending;
  return (
    <Notice
      tone={leak.severity === "error" ? "bad" : "warn"}
      title="One click makes sets that share no line"
    >
      <p className="mb-2">
        Both files stay as they are; a new set is made for this run
        {isAll ? ". All lines are in both, so a tenth is held back instead." : "."}
      </p>
      <div className="flex flex-wrap gap-2">
        {isAll ? null : (
          <Button
            size="sm"
            disabled={isBusy}
            busy={separate.isPending}
            onClick={() => separate.mutate(files)}
          >
            Take {formatPlural(numLeaked, "line")} out of training
          </Button>
        )}
        <Button
          size="sm"
          disabled={isBusy}
          busy={split.isPending}
          onClick={() => split.mutate(files)}
        >
          Hold back a tenth of the training file
        </Button>
      </div>
    </Notice>
  );
}
