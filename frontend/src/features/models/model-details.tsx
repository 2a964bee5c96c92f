import type { ReactNode } from "react";
import type { LocalModel } from "@/api/types";
import { Badge } from "@/components/badge";
import { Card } from "@/components/card";
import { formatBytes, formatCount, formatPlural } from "@/components/format";
import type { CatalogModel, ModelForm } from "@/features/models/catalog";
import { DownloadButton } from "@/features/models/download-button";
import { formatParameters, sizeOf } from "@/features/models/model-card";
import { RemoveModel } from "@/features/models/remove-model";
import { Fits } from "@/features/models/weights";

const THINKS = { never: "never", optional: "can be turned on", always: "always" } as const;

/** One model: what it is, and each of its forms with what can be done with it. */
export function ModelDetails({ model }: { model: CatalogModel }) {
  const local = model.forms.find((form) => form.local)?.local ?? null;
  const vocabulary = model.known?.vocab_size ?? local?.vocab_size;
  return (
    <Card title={model.title}>
      <dl className="num grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1">
        <Fact name="Family">{model.family || "–"}</Fact>
        <Fact name="Parameters">{formatParameters(model.parameters) || "–"}</Fact>
        <Fact name="Tokenizer">
          {model.known?.tokenizer ?? "its own"}
          {vocabulary ? `, ${formatCount(vocabulary)} tokens` : ""}
        </Fact>
        <Fact name="Thinks">{model.thinking ? THINKS[model.thinking] : "–"}</Fact>
        <Fact name="Sees pictures">{model.vision ? "yes" : "no"}</Fact>
        <Fact name="Can be trained">{model.trains ? "yes" : "no, it can only teach"}</Fact>
        {local?.path ? (
          <Fact name="Folder">
            <span className="font-mono text-sm break-all">{local.path}</span>
          </Fact>
        ) : null}
        {local && local.used_by.length > 0 ? (
          <Fact name="Used by">{formatPlural(local.used_by.length, "run")}</Fact>
        ) : null}
      </dl>
      {model.problem ? <p className="mt-2 text-bad">{model.problem}</p> : null}
      <h3 className="label mt-4 mb-1">Forms</h3>
      <ul className="divide-y">
        {[...model.forms].sort(bySize).map((form) => (
          <FormRow key={form.name} form={form} />
        ))}
      </ul>
    </Card>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}

function bySize(a: ModelForm, b: ModelForm): number {
  return (b.gigabytes ?? 0) - (a.gigabytes ?? 0);
}

function FormRow({ form }: { form: ModelForm }) {
  return (
    <li className="num flex min-h-9 flex-wrap items-center gap-2 py-1">
      <span className="min-w-20">{form.precision}</span>
      <span className="w-16 text-right text-muted">{sizeOf(form.gigabytes)}</span>
      <Fits verdict={form.alone} />
      <span className="ml-auto flex items-center gap-1">
        {form.local ? <OnDisk model={form.local} /> : null}
        <DownloadButton form={form} />
      </span>
    </li>
  );
}

function OnDisk({ model }: { model: LocalModel }) {
  return (
    <>
      {model.is_complete ? (
        <span title={`${formatBytes(model.disk_bytes)} of files`}>
          <Badge tone="good">{model.origin === "embedded" ? "shipped" : "on disk"}</Badge>
        </span>
      ) : (
        <Badge tone="warn">incomplete</Badge>
      )}
      {model.origin === "embedded" ? null : <RemoveModel model={model} />}
    </>
  );
}
