import { useQuery } from "@tanstack/react-query";
import { checkedConfig, presets, runCheck } from "@/api/planning";
import { describeError } from "@/api/problem";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { ScrolledText } from "@/components/scrolled-text";
import { Notice, Skeleton } from "@/components/states";
import { BeforeStart } from "@/features/new-run/before-start";
import { Changes } from "@/features/new-run/changes";
import { asCommand, asCurl, differences, plain, useDraft } from "@/features/new-run/draft";
import { ProblemLink } from "@/features/new-run/problem-link";
import { StartCard } from "@/features/new-run/start-card";
import { type Problem, useProblems } from "@/features/new-run/step-states";
import { SweepCard } from "@/features/new-run/sweep-card";

/** Everything once more: what is wrong, what it takes, what differs from where it began, and Start. */
export function ReviewStep() {
  const { config } = useDraft();
  const source = useSource();
  const checked = useQuery(checkedConfig(config));
  const check = useQuery(runCheck(config));
  const { problems } = useProblems();
  const changed = source ? differences(source.config, config) : [];
  const canStart = !checked.error && !check.error && check.data?.verdict !== "error";
  const isWrong = problems.some(({ severity }) => severity === "error");
  return (
    <div className="grid gap-3 lg:grid-cols-2">
      <div className="flex min-w-0 flex-col gap-3">
        {check.isPending && !checked.error ? (
          <Skeleton className="h-20" />
        ) : check.error && !checked.error ? (
          <Notice tone="bad" title={describeError(check.error).title}>
            {describeError(check.error).reason}
          </Notice>
        ) : (
          <Findings problems={problems} />
        )}
        <BeforeStart
          config={config}
          report={checked.error || check.error ? undefined : check.data}
          problems={problems}
        />
        <StartCard canStart={canStart && check.isSuccess} isWrong={isWrong} />
        <Changes source={source} changed={changed} />
      </div>
      <div className="flex min-w-0 flex-col gap-3">
        <SweepCard canStart={canStart && check.isSuccess} />
        {checked.error ? null : <TextCard title="As YAML" text={checked.data?.yaml ?? ""} />}
        <TextCard title="As a command" text={asCommand(source?.command ?? "default", changed)} />
        <TextCard title="As a request" text={asCurl(window.location.origin, config)} />
      </div>
    </div>
  );
}

/** What the draft began with: a shipped preset, or a run. */
function useSource() {
  const { preset: name, copied } = useDraft();
  const preset = useQuery(presets()).data?.find((each) => each.name === name);
  if (copied) {
    const command = `${copied.folder}/config.yaml`;
    return { name: copied.name, kind: "run" as const, config: copied.config, command };
  }
  return preset
    ? {
        name: preset.title,
        kind: "preset" as const,
        config: plain(preset.config),
        command: preset.name,
      }
    : undefined;
}

function Findings({ problems }: { problems: readonly Problem[] }) {
  if (problems.length === 0) {
    return (
      <Notice tone="neutral" title="Ready to start">
        The models and the files can be used, and the disk has room.
      </Notice>
    );
  }
  return problems.map((problem) => (
    <Notice
      key={`${problem.field} ${problem.message}`}
      tone={problem.severity === "error" ? "bad" : "warn"}
      title={<ProblemLink problem={problem}>{problem.message}</ProblemLink>}
    >
      {problem.fix}
    </Notice>
  ));
}

function TextCard({ title, text }: { title: string; text: string }) {
  return (
    <Card title={title} flush actions={<CopyButton label="Copy" text={text} />}>
      <ScrolledText label={title} text={text} className="max-h-72 p-3" />
    </Card>
  );
}
