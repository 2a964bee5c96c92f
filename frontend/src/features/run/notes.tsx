import { useState } from "react";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Input, TextArea } from "@/components/input";
import { useAnnotate } from "@/features/runs/run-actions";

/** The user's own words: tags and a note, kept in the run's folder. */
export function Notes({ run }: { run: RunSummary }) {
  const annotate = useAnnotate(run.run_id);
  const [note, setNote] = useState(run.annotations.note ?? "");
  const [tags, setTags] = useState((run.annotations.tags ?? []).join(" "));
  const words = tags.split(/[\s,]+/).filter(Boolean);
  const isChanged =
    note !== (run.annotations.note ?? "") || words.join() !== (run.annotations.tags ?? []).join();
  return (
    <Card title="Notes">
      <form
        className="flex flex-col gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          annotate.mutate({ note, tags: words });
        }}
      >
        <TextArea
          aria-label="Note"
          placeholder="What was this run for? What did it show?"
          value={note}
          onChange={(event) => setNote(event.target.value)}
          rows={3}
        />
        <div className="flex gap-2">
          <Input
            aria-label="Tags"
            placeholder="Tags, separated by spaces"
            value={tags}
            onChange={(event) => setTags(event.target.value)}
            className="grow"
          />
          <Button type="submit" disabled={!isChanged} busy={annotate.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Card>
  );
}
