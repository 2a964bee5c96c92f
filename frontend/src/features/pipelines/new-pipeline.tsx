import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { createPipeline } from "@/api/pipelines";
import { ApiError, describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { FileDrop } from "@/components/file-drop";
import { TextArea } from "@/components/input";
import { Notice } from "@/components/states";
import { Switch } from "@/components/switch";

interface NewPipelineProps {
  /** What its file says to begin with; may be empty. */
  text: string;
  onClose: () => void;
}

/** A pipeline's file, read or written here; everything is checked before anything runs. */
export function NewPipeline({ text, onClose }: NewPipelineProps) {
  const [yaml, setYaml] = useState(text);
  const [isFresh, setFresh] = useState(false);
  const navigate = useNavigate();
  const create = useMutation({
    mutationFn: () => createPipeline(yaml, isFresh),
    onSuccess: async ({ pipeline_id }) => {
      await queryClient.invalidateQueries({ queryKey: ["pipelines"] });
      await navigate({ to: "/pipelines/$pipelineId", params: { pipelineId: pipeline_id } });
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : onClose())}
      title="New pipeline"
      description="Stages in their order, and what is compared in the end. Every stage is checked before the first one runs."
      footer={
        <Button
          look="primary"
          busy={create.isPending}
          disabled={yaml.trim() === ""}
          onClick={() => create.mutate()}
        >
          Check and start
        </Button>
      }
    >
      <div className="flex flex-col gap-3">
        {create.error ? <Refusal error={create.error} /> : null}
        <FileDrop
          label="Drop a pipeline file here"
          hint="YAML, as for opd pipeline run"
          accept=".yaml,.yml"
          onFile={(file) => void file.text().then(setYaml)}
        />
        <TextArea
          aria-label="The pipeline's file"
          value={yaml}
          onChange={({ target }) => setYaml(target.value)}
          spellCheck={false}
          rows={14}
          className="font-mono text-sm"
        />
        <label className="flex items-center gap-2" htmlFor="fresh">
          <Switch id="fresh" checked={isFresh} onChange={setFresh} />
          Repeat stages that an earlier pipeline finished
        </label>
      </div>
    </Dialog>
  );
}

/** What is wrong, stage by stage where the backend says so. */
function Refusal({ error }: { error: Error }) {
  const { title, reason } = describeError(error);
  const found = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  return (
    <Notice tone="bad" title={title}>
      {reason}
      {found.length > 0 ? (
        <ul className="mt-1 list-disc pl-4">
          {found.map(({ location, message }) => (
            <li key={`${location} ${message}`}>
              {location}: {message}
            </li>
          ))}
        </ul>
      ) : null}
    </Notice>
  );
}
