import { useQuery } from "@tanstack/react-query";
import { runCheck } from "@/api/planning";
import { describeError } from "@/api/problem";
import type { CheckReport, LintReport } from "@/api/types";
import { Card } from "@/components/card";
import { Notice, Skeleton } from "@/components/states";
import { LintView } from "@/features/data/lint-view";
import { SetPicker } from "@/features/data/set-picker";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { SettingField } from "@/features/new-run/setting-field";
import { FieldGrid, useGroup } from "@/features/new-run/settings-group";
import { useRested } from "@/features/new-run/use-rested";

const PROMPTS = "distillation.prompts";
const VALIDATION = "distillation.validation_prompts";

const NEEDED: Record<string, string> = {
  [PROMPTS]:
    'Required: a JSONL file of what the student practises on, one {"prompt": "..."} a line.',
  [VALIDATION]:
    "Required: held-out prompts of their own. Without them a run would only show that the student knows what it has seen.",
};

/** Two files: prompts to learn from, and held-out prompts of their own, which are required. */
export function DataStep() {
  const fields = useGroup("data");
  const config = useRested(useDraft((draft) => draft.config));
  const check = useQuery(runCheck(config));
  if (!fields) {
    return <Skeleton className="h-40" />;
  }
  const rest = fields.filter((field) => ![PROMPTS, VALIDATION].includes(field.key));
  return (
    <div className="flex flex-col gap-3">
      {check.error ? (
        <Notice tone="bad" title={describeError(check.error).title}>
          {describeError(check.error).reason}
        </Notice>
      ) : null}
      <div className="grid gap-3 lg:grid-cols-2">
        <PromptFile
          title="Training prompts"
          fieldKey={PROMPTS}
          report={check.data?.prompts ?? null}
          isChecking={check.isFetching}
          finding={missingFile(check.data, PROMPTS)}
        />
        <PromptFile
          title="Validation file"
          fieldKey={VALIDATION}
          report={check.data?.validation ?? null}
          isChecking={check.isFetching}
          finding={missingFile(check.data, VALIDATION)}
        />
      </div>
      <Card title="Prompts that are too long">
        <FieldGrid fields={rest} />
      </Card>
    </div>
  );
}

/** What the check says of a file that is not named or cannot be read; its lines have their own list. */
function missingFile(check: CheckReport | undefined, key: string): string | undefined {
  const finding = check?.findings.find(({ field, code }) => field === key && code === "no_file");
  return finding && `${finding.message} ${finding.fix}`;
}

interface PromptFileProps {
  title: string;
  fieldKey: string;
  report: LintReport | null;
  isChecking: boolean;
  finding: string | undefined;
}

function PromptFile({ title, fieldKey, report, isChecking, finding }: PromptFileProps) {
  const field = useGroup("data")?.find(({ key }) => key === fieldKey);
  const path = useDraft(({ config }) => settingOf(config, fieldKey));
  const set = useDraft((draft) => draft.set);
  return (
    <Card title={title}>
      <SetPicker
        label={`Drop the ${title.toLowerCase()} here`}
        hint="A JSONL file; it is copied into the workspace and checked at once."
        path={typeof path === "string" ? path : null}
        onPath={(next) => set(fieldKey, next)}
      />
      {field ? (
        <div className="mt-3">
          <SettingField field={field} finding={finding} />
        </div>
      ) : null}
      <div className="mt-3">
        {report ? (
          <LintView
            report={report}
            {...(fieldKey === VALIDATION ? { overlap: "Also in training" } : {})}
          />
        ) : isChecking && path ? (
          <Skeleton className="h-24" />
        ) : path ? null : (
          <p className="text-muted">{NEEDED[fieldKey]}</p>
        )}
      </div>
    </Card>
  );
}
