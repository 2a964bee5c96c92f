import { useQuery } from "@tanstack/react-query";
import { formFields } from "@/api/planning";
import type { FormField } from "@/api/types";
import { Card } from "@/components/card";
import { Skeleton } from "@/components/states";
import { Advanced } from "@/features/new-run/advanced";
import { useDraft } from "@/features/new-run/draft";
import { fieldsOf, useMethod } from "@/features/new-run/methods";
import { relevantFields } from "@/features/new-run/relevance";
import { SettingField } from "@/features/new-run/setting-field";

/** The settings of the draft's method that mean something now. */
export function useRelevantFields(): readonly FormField[] | undefined {
  const config = useDraft((draft) => draft.config);
  const method = useMethod();
  const fields = useQuery(formFields()).data;
  return fields && relevantFields(fieldsOf(method, fields), config);
}

/** Those of them that belong to a group. */
export function useGroup(group: FormField["group"]): readonly FormField[] | undefined {
  return useRelevantFields()?.filter((field) => field.group === group);
}

interface SettingsGroupProps {
  title: string;
  group: FormField["group"];
  intro?: string;
}

/** A card with a group's settings; rare ones are folded away. */
export function SettingsGroup({ title, group, intro }: SettingsGroupProps) {
  const fields = useGroup(group);
  if (!fields) {
    return <Skeleton className="h-40" />;
  }
  if (fields.length === 0) {
    return null;
  }
  const plain = fields.filter((field) => !field.advanced);
  const advanced = fields.filter((field) => field.advanced);
  return (
    <Card title={title}>
      {intro ? <p className="mb-3 max-w-2xl text-muted">{intro}</p> : null}
      {plain.length > 0 ? <FieldGrid fields={plain} /> : null}
      {advanced.length > 0 ? (
        <Advanced count={advanced.length}>
          <FieldGrid fields={advanced} />
        </Advanced>
      ) : null}
    </Card>
  );
}

export function FieldGrid({ fields }: { fields: readonly FormField[] }) {
  return (
    <div className="grid gap-x-6 gap-y-4 md:grid-cols-2 xl:grid-cols-3">
      {fields.map((field) => (
        <SettingField key={field.key} field={field} />
      ))}
    </div>
  );
}
