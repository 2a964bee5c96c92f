import clsx from "clsx";
import { describeError } from "@/api/problem";
import { Card } from "@/components/card";
import { Notice, Skeleton } from "@/components/states";
import { DropAnywhere } from "@/features/new-run/drop-anywhere";
import { isWrongConfig, useCheck } from "@/features/new-run/field-errors";
import { FileCard } from "@/features/new-run/file-card";
import { slotsOf } from "@/features/new-run/files";
import { type MethodId, useMethod } from "@/features/new-run/methods";
import { FieldGrid, useGroup } from "@/features/new-run/settings-group";
import { WrongElsewhere } from "@/features/new-run/wrong-elsewhere";

// Three cards side by side where there is room, else the first above the others.
const LAST_TWO_BESIDE = "lg:max-xl:*:first:col-span-2 xl:grid-cols-3";

const REST: Record<MethodId, string> = {
  on_policy: "Prompts that are too long",
  sft: "How conversations are read",
  grpo: "Prompts that are too long",
  prompt_distillation: "How answers are read",
  vlm_distillation: "How pictures are read",
  projector: "How pictures and answers are read",
};

/** The files of the method, each linted at once, and what else is to say of them. */
export function DataStep() {
  const method = useMethod();
  const fields = useGroup("data");
  const check = useCheck();
  if (!fields) {
    return <Skeleton className="h-40" />;
  }
  const slots = slotsOf(method);
  const rest = fields.filter((field) => !slots.some(({ key }) => key === field.key));
  return (
    <div className="flex flex-col gap-3">
      <DropAnywhere slots={slots} />
      {isWrongConfig(check.error) ? (
        <WrongElsewhere>The files are checked once these settings are right</WrongElsewhere>
      ) : check.error ? (
        <Notice tone="bad" title={describeError(check.error).title}>
          {describeError(check.error).reason}
        </Notice>
      ) : null}
      <div className={clsx("grid gap-3 lg:grid-cols-2", slots.length === 3 && LAST_TWO_BESIDE)}>
        {slots.map((slot) => (
          <FileCard key={slot.key} slot={slot} />
        ))}
      </div>
      <Card title={REST[method.name]}>
        <FieldGrid fields={rest} />
      </Card>
    </div>
  );
}
