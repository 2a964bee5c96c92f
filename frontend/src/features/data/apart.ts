import { useMutation } from "@tanstack/react-query";
import { toast } from "sonner";
import { registerSet, separateSet, splitSet } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { MadeApart, ReadAs } from "@/api/types";
import { formatPlural } from "@/components/format";
import { showError } from "@/features/runs/run-actions";

export interface LeakyFiles {
  training: string;
  heldOut: string;
  readAs: ReadAs;
}

/** Makes new sets that share no line, by path, and says what they are. */
export function useApart(onMade: (made: MadeApart) => void) {
  const told = {
    onError: showError,
    onSuccess: async (made: MadeApart) => {
      await queryClient.invalidateQueries({ queryKey: ["prompt-sets"] });
      toast(inWords(made));
      onMade(made);
    },
  };
  const separate = useMutation({
    mutationFn: async ({ training, heldOut, readAs }: LeakyFiles) => {
      const [one, other] = [await registerSet(training), await registerSet(heldOut)];
      return separateSet(one.id, { held_out: other.id, read_as: readAs });
    },
    ...told,
  });
  const split = useMutation({
    mutationFn: async ({ training, readAs }: LeakyFiles) => {
      const source = await registerSet(training);
      return splitSet(source.id, { read_as: readAs, share: 0.1, seed: 0 });
    },
    ...told,
  });
  return { separate, split };
}

/** What was made, in a sentence. */
export function inWords(made: MadeApart): string {
  const training = `“${made.training.name}” with ${formatPlural(made.num_training, "line")}`;
  return made.num_taken_out > 0
    ? `${formatPlural(made.num_taken_out, "line")} taken out: the new set ${training} is trained on now.`
    : `Two new sets: ${training}, and “${made.held_out.name}” with ${formatPlural(made.num_held_out, "line")}.`;
}
