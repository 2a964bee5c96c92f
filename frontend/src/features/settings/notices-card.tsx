import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { isDesktop } from "@/api/desktop";
import { type NoticesView, notices, setWebhook, tryWebhook } from "@/api/notices";
import { describeError } from "@/api/problem";
import { askToTell, useSystemNotices } from "@/api/system-notices";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { Skeleton } from "@/components/states";
import { Switch } from "@/components/switch";
import { showError } from "@/features/runs/run-actions";

/** Who is told that a run has ended: this computer's user, and an address of their choice. */
export function NoticesCard() {
  const query = useQuery(notices());
  return (
    <Card title="Notifications when a run ends">
      <SystemNotices />
      {query.data ? (
        <Webhook key={query.data.settings.webhook_url} kept={query.data} />
      ) : query.error ? (
        <p className="text-bad">{describeError(query.error).title}</p>
      ) : (
        <Skeleton className="h-20" />
      )}
    </Card>
  );
}

function SystemNotices() {
  const { isOn, setOn } = useSystemNotices();
  const change = async (wanted: boolean) => {
    if (wanted && !(await askToTell())) {
      toast.error("The browser blocks notifications here.", {
        description: "Allow them in the site’s settings, beside the address.",
      });
      return;
    }
    setOn(wanted);
  };
  if (isDesktop()) {
    return <p className="mb-3 text-muted">This app shows a notice of the system.</p>;
  }
  return (
    <div className="mb-3 flex items-center justify-between gap-4">
      <span>
        System notification
        <span className="block text-sm text-muted">While this page is open in a tab.</span>
      </span>
      <Switch
        label="System notification"
        checked={isOn}
        onChange={(wanted) => void change(wanted)}
      />
    </div>
  );
}

function Webhook({ kept }: { kept: NoticesView }) {
  const before = kept.settings.webhook_url ?? "";
  const [url, setUrl] = useState(before);
  const save = useMutation({
    mutationFn: () => setWebhook(url.trim() || null),
    onSuccess: () => toast("Saved."),
  });
  const trial = useMutation({ mutationFn: tryWebhook, onError: showError });
  const { last } = kept;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Field
        label="Webhook"
        help="Gets a POST with the run’s name, id, method, state and steps; no prompts, answers, figures or folders. Empty sends nothing."
        error={save.error ? describeError(save.error).title : undefined}
      >
        {(control) => (
          <Input
            {...control}
            type="url"
            placeholder="https://"
            autoComplete="off"
            value={url}
            onChange={(event) => setUrl(event.target.value)}
          />
        )}
      </Field>
      <div className="mt-2 flex flex-wrap items-center gap-2">
        <Button type="submit" busy={save.isPending} disabled={url.trim() === before}>
          Save
        </Button>
        <Button
          disabled={before === "" || url.trim() !== before}
          busy={trial.isPending}
          onClick={() => trial.mutate()}
        >
          Send a test
        </Button>
        {last ? (
          <span role="status" className={last.was_taken ? "text-good" : "text-bad"}>
            {last.was_taken ? `Delivered: ${last.words}` : `Not delivered: ${last.words}`}
          </span>
        ) : null}
      </div>
    </form>
  );
}
