import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { planPush, pushExport } from "@/api/exports";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import type { PushPlan } from "@/api/types";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Field } from "@/components/field";
import { formatBytes } from "@/components/format";
import { Input } from "@/components/input";
import { Scrolled } from "@/components/scrolled";
import { Notice } from "@/components/states";
import { Switch } from "@/components/switch";
import { HubTokenForm } from "@/features/hub/hub-token";
import { showError } from "@/features/runs/run-actions";

const REPOSITORY = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;

/** First what would be sent, then the sending: the backend takes no push without its dry run. */
export function PushDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const [repository, setRepository] = useState("");
  const [isPrivate, setPrivate] = useState(true);
  const plan = useMutation({ mutationFn: () => planPush(name, repository) });
  const push = useMutation({
    mutationFn: (digest: string) => pushExport(name, { repository, is_private: isPrivate, digest }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ["exports"] });
      onClose();
    },
    onError: showError,
  });
  const isNamed = REPOSITORY.test(repository);
  const shown = plan.data?.repository === repository ? plan.data : undefined;
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : onClose())}
      title={`Send ${name} to the hub`}
      description="A dry run shows what would leave this machine; nothing is sent before."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button busy={plan.isPending} disabled={!isNamed} onClick={() => plan.mutate()}>
            Dry run
          </Button>
          <Button
            look="primary"
            busy={push.isPending}
            disabled={!shown?.has_token}
            onClick={() => shown && push.mutate(shown.digest)}
          >
            Send
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <Field
          label="Repository"
          help="Your name on the hub, a slash, and the model's name."
          error={repository !== "" && !isNamed ? "It looks like owner/name." : undefined}
        >
          {(control) => (
            <Input
              {...control}
              autoFocus
              placeholder="owner/name"
              value={repository}
              onChange={(event) => setRepository(event.target.value.trim())}
            />
          )}
        </Field>
        <div className="flex items-center gap-2">
          <Switch label="Private" checked={isPrivate} onChange={setPrivate} />
          <span>Private: only you can see it</span>
        </div>
        {plan.error ? (
          <Notice tone="bad" title={describeError(plan.error).title}>
            {describeError(plan.error).reason}
          </Notice>
        ) : null}
        {shown ? <Planned plan={shown} onToken={() => plan.mutate()} /> : null}
      </div>
    </Dialog>
  );
}

function Planned({ plan, onToken }: { plan: PushPlan; onToken: () => void }) {
  return (
    <>
      <div className="rounded-md border">
        <p className="border-b px-3 py-1.5 font-medium">
          {plan.files.length} files, {formatBytes(plan.num_bytes)}, to {plan.repository}
        </p>
        <Scrolled label="Files" className="max-h-48">
          <ul className="num divide-y">
            {plan.files.map((file) => (
              <li key={file.name} className="flex justify-between gap-4 px-3 py-1">
                <span className="truncate font-mono text-sm">{file.name}</span>
                <span className="text-muted">{formatBytes(file.num_bytes)}</span>
              </li>
            ))}
          </ul>
        </Scrolled>
      </div>
      {plan.has_token ? null : (
        <section className="flex flex-col gap-3 rounded-md border border-warn/40 p-3">
          <h3 className="font-medium">Hugging Face asks for a token before it takes this</h3>
          <HubTokenForm onKept={onToken} />
        </section>
      )}
    </>
  );
}
