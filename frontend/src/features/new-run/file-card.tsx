import { useQuery } from "@tanstack/react-query";
import { models } from "@/api/models";
import type { CheckReport } from "@/api/types";
import { Card, Figure } from "@/components/card";
import { formatCount } from "@/components/format";
import { ScrolledText } from "@/components/scrolled-text";
import { Skeleton } from "@/components/states";
import { LintView } from "@/features/data/lint-view";
import { PathPreview } from "@/features/data/path-preview";
import { SetPicker } from "@/features/data/set-picker";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { useCheck } from "@/features/new-run/field-errors";
import type { FileSlot } from "@/features/new-run/files";
import { LeakRemedies } from "@/features/new-run/leak-remedies";
import { useMethod } from "@/features/new-run/methods";
import { SettingField } from "@/features/new-run/setting-field";
import { useGroup } from "@/features/new-run/settings-group";

/** One file of a run: chosen, dropped or named, then what the check says of it. */
export function FileCard({ slot }: { slot: FileSlot }) {
  const field = useGroup("data")?.find(({ key }) => key === slot.key);
  const path = useDraft(({ config }) => settingOf(config, slot.key));
  const set = useDraft((draft) => draft.set);
  const isNamed = typeof path === "string" && path !== "";
  return (
    <Card title={slot.title}>
      <SetPicker
        label={`Drop the ${slot.title.toLowerCase()} here`}
        path={isNamed ? path : null}
        onPath={(next) => set(slot.key, next)}
        kinds={slot.kinds}
        endings={slot.endings}
      />
      {field ? (
        <div className="mt-3">
          <SettingField field={field} />
        </div>
      ) : null}
      <div className="mt-3 flex flex-col gap-3">
        {isNamed ? (
          <Findings slot={slot} path={path} />
        ) : (
          <p className="text-muted">{slot.needed}</p>
        )}
      </div>
    </Card>
  );
}

function Findings({ slot, path }: { slot: FileSlot; path: string }) {
  const check = useCheck();
  const model = useMeasuringModel();
  if (slot.part === "teacher_prompt") {
    return <PromptText text={check.data?.teacher_prompt} isChecking={check.isFetching} />;
  }
  const report = check.data?.[slot.part];
  if (!report) {
    return check.isFetching ? <Skeleton className="h-24" /> : null;
  }
  return (
    <>
      {slot.part === "validation" && check.data ? <LeakRemedies report={check.data} /> : null}
      <LintView
        report={report}
        noun={slot.noun}
        answered={slot.answered}
        {...(slot.part === "validation" ? { overlap: "Also in training" } : {})}
      />
      <PathPreview path={path} model={model} />
    </>
  );
}

/** The model that will read the files, where it is on this machine. */
function useMeasuringModel(): string | null {
  const { block, models: named } = useMethod();
  const key = named.find(({ role }) => role === "student")?.key;
  const name = useDraft(({ config }) => settingOf(config, `${block}.${key}`));
  const local = useQuery(models()).data?.local ?? [];
  return local.find((each) => each.is_complete && each.name === name)?.name ?? null;
}

interface PromptTextProps {
  text: CheckReport["teacher_prompt"] | undefined;
  isChecking: boolean;
}

/** How long the prompt is, which the student will save with every answer, and how it begins. */
function PromptText({ text, isChecking }: PromptTextProps) {
  if (!text) {
    return isChecking ? <Skeleton className="h-24" /> : null;
  }
  return (
    <>
      <Figure
        label="Length"
        value={formatCount(text.length)}
        unit={text.unit === "tokens" ? "tokens of the teacher" : "characters"}
        note={
          text.unit === "tokens"
            ? "read with every answer of the teacher, and with none of the student's"
            : "the teacher's tokens can be counted once it is on this machine"
        }
      />
      <ScrolledText
        label="The beginning of the prompt"
        text={text.beginning}
        wrap
        className="max-h-48 rounded-md border bg-sunken p-2"
      />
    </>
  );
}
