import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { checkedConfig, formFields, presets, runCheck } from "@/api/planning";
import { describeError, isMemoryInUse, leavesMachine } from "@/api/problem";
import { createRun } from "@/api/runs";
import type { CheckReport } from "@/api/types";
import { learnRun, useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { ScrolledText } from "@/components/scrolled-text";
import { Notice, Skeleton } from "@/components/states";
import {
  asCommand,
  asCurl,
  type Difference,
  differences,
  plain,
  useDraft,
} from "@/features/new-run/draft";
import { Leaving } from "@/features/new-run/leaving";
import { useMethod } from "@/features/new-run/methods";
import { SettingField } from "@/features/new-run/setting-field";
import { wordsOf } from "@/features/new-run/setting-text";
import { showError } from "@/features/runs/run-actions";

interface Creation {
  start: boolean;
  anyway: boolean;
  confirm: boolean;
}

const START: Creation = { start: true, anyway: false, confirm: false };
const START_ANYWAY = { start: true, anyway: true };
const SAVE: Creation = { start: false, anyway: false, confirm: false };

/** Everything once more: what is wrong, what differs from the preset, the YAML, and Start. */
export function ReviewStep() {
  const { config, preset: name } = useDraft();
  const preset = useQuery(presets()).data?.find((each) => each.name === name);
  const checked = useQuery(checkedConfig(config));
  const check = useQuery(runCheck(config));
  const changed = preset ? differences(plain(preset.config), config) : [];
  return (
    <div className="grid gap-3 lg:grid-cols-2">
      <div className="flex min-w-0 flex-col gap-3">
        {checked.error ? (
          <Notice tone="bad" title="A setting is wrong">
            {describeError(checked.error).title}
          </Notice>
        ) : check.isPending ? (
          <Skeleton className="h-20" />
        ) : check.error ? (
          <Notice tone="bad" title={describeError(check.error).title}>
            {describeError(check.error).reason}
          </Notice>
        ) : (
          <Findings report={check.data} />
        )}
        <StartCard canStart={check.data?.verdict !== "error" && !checked.error && !check.error} />
        <Changes preset={preset?.title} changed={changed} />
      </div>
      <div className="flex min-w-0 flex-col gap-3">
        <TextCard title="As YAML" text={checked.data?.yaml ?? ""} />
        <TextCard title="As a command" text={asCommand(name ?? "default", changed)} />
        <TextCard title="As a request" text={asCurl(window.location.origin, config)} />
      </div>
    </div>
  );
}

function Findings({ report }: { report: CheckReport }) {
  if (report.findings.length === 0) {
    return (
      <Notice tone="neutral" title="Ready to start">
        The models and the files can be used, and the disk has room.
      </Notice>
    );
  }
  return report.findings.map((finding) => (
    <Notice
      key={`${finding.field} ${finding.message}`}
      tone={finding.severity === "error" ? "bad" : "warn"}
      title={finding.message}
    >
      {finding.fix}
    </Notice>
  ));
}

function StartCard({ canStart }: { canStart: boolean }) {
  const { config, clear } = useDraft();
  const { block } = useMethod();
  const navigate = useNavigate();
  const name = useQuery(formFields()).data?.find(({ key }) => key === `${block}.run_name`);
  const isBusy = useWorkspace(({ queue }) => queue?.active !== null && queue !== null);
  const create = useMutation({
    mutationFn: (how: Creation) =>
      createRun({
        config,
        ...how,
        annotations: { name: null, tags: [], note: "", favourite: false, archived: false },
      }),
    onSuccess: (run) => {
      learnRun(run);
      clear();
      void navigate({ to: "/runs/$runId", params: { runId: run.run_id } });
    },
    onError: (error) => {
      if (!isMemoryInUse(error) && !leavesMachine(error)) {
        showError(error);
      }
    },
  });
  const isAtWork = (how: Creation) => create.isPending && create.variables.start === how.start;
  return (
    <Card title="Start">
      <p className="mb-3 text-muted">
        {isBusy
          ? "Another run is at work; this one starts when it is done."
          : "The run works in its own process: you may close this window."}
      </p>
      {name ? (
        <div className="mb-3">
          <SettingField field={name} />
        </div>
      ) : null}
      <div className="flex gap-2">
        <Button
          look="primary"
          disabled={!canStart}
          busy={isAtWork(START)}
          onClick={() => create.mutate(START)}
        >
          {isBusy ? "Queue" : "Start"}
        </Button>
        <Button disabled={!canStart} busy={isAtWork(SAVE)} onClick={() => create.mutate(SAVE)}>
          Save without starting
        </Button>
      </div>
      {isMemoryInUse(create.error) ? (
        <div className="mt-3">
          <Notice
            tone="warn"
            title={describeError(create.error).title}
            action={
              <Button
                onClick={() => create.mutate({ ...START, ...create.variables, ...START_ANYWAY })}
              >
                Start anyway
              </Button>
            }
          >
            {describeError(create.error).reason}
          </Notice>
        </div>
      ) : null}
      {leavesMachine(create.error) && create.variables ? (
        <Leaving
          error={create.error}
          onConfirm={() => create.mutate({ ...START, ...create.variables, confirm: true })}
        />
      ) : null}
    </Card>
  );
}

/** A dotted key without the method's block, which is the same for all. */
function withoutBlock(key: string): string {
  return key.slice(key.indexOf(".") + 1);
}

function Changes({
  preset,
  changed,
}: {
  preset: string | undefined;
  changed: readonly Difference[];
}) {
  return (
    <Card title={preset ? `Different from “${preset}”` : "Settings"} flush>
      {changed.length === 0 ? (
        <p className="p-3 text-muted">Nothing: this is the preset as it is shipped.</p>
      ) : (
        <table className="w-full text-left">
          <thead className="label">
            <tr className="h-8">
              <th className="px-3 font-normal">Setting</th>
              <th className="px-3 font-normal">Preset</th>
              <th className="px-3 font-normal">This run</th>
            </tr>
          </thead>
          <tbody>
            {changed.map(({ key, preset: before, draft }) => (
              <tr key={key} className="num h-8 border-t">
                <td className="px-3 text-muted">{withoutBlock(key)}</td>
                <td className="max-w-40 truncate px-3 text-muted">{wordsOf(before) || "empty"}</td>
                <td className="max-w-56 truncate px-3" title={wordsOf(draft)}>
                  {wordsOf(draft) || "empty"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function TextCard({ title, text }: { title: string; text: string }) {
  return (
    <Card title={title} flush actions={<CopyButton label="Copy" text={text} />}>
      <ScrolledText label={title} text={text} className="max-h-72 p-3" />
    </Card>
  );
}
