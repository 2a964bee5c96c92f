import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { keepPrompt } from "@/api/playground";
import { describeError } from "@/api/problem";
import { promptSets } from "@/api/prompt-sets";
import { queryClient } from "@/api/query-client";
import type { AskedMessage } from "@/api/types";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Field } from "@/components/field";
import { Input, TextArea } from "@/components/input";
import { Select } from "@/components/select";

interface KeepDialogProps {
  messages: readonly AskedMessage[];
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

const NEW_SET = "new";

/** Keeps a question as a line of a prompt set, with its right answer where that is known. */
export function KeepDialog({ messages, open, onOpenChange }: KeepDialogProps) {
  const sets = (useQuery(promptSets()).data ?? []).filter(
    (set) => set.origin === "upload" && set.kind === "prompts" && set.used_by.length === 0,
  );
  const [setId, setSetId] = useState(NEW_SET);
  const [name, setName] = useState("Kept from the playground");
  const [answer, setAnswer] = useState("");
  const keep = useMutation({
    mutationFn: () =>
      keepPrompt({
        messages: messages.map(({ role, content }) => ({ role, content })),
        answer: answer.trim() || null,
        set_id: setId === NEW_SET ? null : setId,
        name: name.trim() || "Kept from the playground",
      }),
    onSuccess: async (set) => {
      toast(`Kept in ${set.name}.`);
      onOpenChange(false);
      setSetId(set.id);
      setAnswer("");
      await queryClient.invalidateQueries({ queryKey: ["prompt-sets"] });
    },
  });
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="Keep this prompt"
      description="It becomes a line of a prompt set, to train on or to measure with."
      footer={
        <Button look="primary" busy={keep.isPending} onClick={() => keep.mutate()}>
          Save
        </Button>
      }
    >
      <div className="flex flex-col gap-3">
        <Field label="Set" help="Sets that a run has used stay as they are.">
          {(control) => (
            <Select
              {...control}
              label="Set"
              value={sets.some(({ id }) => id === setId) ? setId : NEW_SET}
              choices={[
                { value: NEW_SET, label: "A new set" },
                ...sets.map((set) => ({ value: set.id, label: set.name })),
              ]}
              onChange={setSetId}
            />
          )}
        </Field>
        {setId === NEW_SET ? (
          <Field label="Name of the new set">
            {(control) => (
              <Input {...control} value={name} onChange={(event) => setName(event.target.value)} />
            )}
          </Field>
        ) : null}
        <Field label="Right answer" help="Completions are graded by it; may be empty.">
          {(control) => (
            <TextArea
              {...control}
              rows={2}
              value={answer}
              onChange={(event) => setAnswer(event.target.value)}
            />
          )}
        </Field>
        {keep.error ? (
          <p role="alert" className="text-bad">
            {describeError(keep.error).title} {describeError(keep.error).reason}
          </p>
        ) : null}
      </div>
    </Dialog>
  );
}
