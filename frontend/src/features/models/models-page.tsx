import { useMutation, useQuery } from "@tanstack/react-query";
import { Download as DownloadIcon, Trash2 } from "lucide-react";
import { useState } from "react";
import { models, removeModel, startDownload } from "@/api/models";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import type { KnownEntry, LocalModel, ModelList } from "@/api/types";
import { Badge, type Tone } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Dialog } from "@/components/dialog";
import { formatBytes, formatNumber } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { AddFolder } from "@/features/models/add-folder";
import { Downloads } from "@/features/models/downloads";
import { HubSearch } from "@/features/models/hub-search";
import { showError } from "@/features/runs/run-actions";

export function ModelsPage() {
  const list = useQuery(models());
  if (list.isPending) {
    return <SkeletonRows count={14} />;
  }
  if (!list.data) {
    const { title, reason } = describeError(list.error);
    return <ErrorState title={title} reason={reason} retry={() => void list.refetch()} />;
  }
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Models"
        detail={`${formatNumber(list.data.limit_gb, 3)} GB for models, ${formatNumber(list.data.free_gb, 3)} GB free for downloads`}
        actions={<AddFolder />}
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        <Downloads />
        <LocalModels list={list.data} />
        <KnownModels known={list.data.known} />
        <HubSearch />
      </div>
    </div>
  );
}

const FITS: Record<string, { tone: Tone; label: string }> = {
  fits: { tone: "good", label: "fits" },
  tight: { tone: "warn", label: "tight" },
  does_not_fit: { tone: "bad", label: "does not fit" },
};

function Fits({ verdict }: { verdict: string | null | undefined }) {
  const known = verdict ? FITS[verdict] : undefined;
  return known ? (
    <Badge tone={known.tone}>{known.label}</Badge>
  ) : (
    <span className="text-faint">–</span>
  );
}

function Gigabytes({ value }: { value: number | null | undefined }) {
  return value === null || value === undefined ? (
    <span className="text-faint">–</span>
  ) : (
    <>
      {formatNumber(value, 3)} <span className="text-faint">GB</span>
    </>
  );
}

function LocalModels({ list }: { list: ModelList }) {
  return (
    <Card title="On this machine" flush>
      {list.local.length === 0 ? (
        <EmptyState title="No models yet">
          Download one from the list below, or add a folder that you have.
        </EmptyState>
      ) : (
        <table className="w-full text-left">
          <thead className="label">
            <tr className="h-8">
              <th className="px-3 font-normal">Model</th>
              <th className="px-3 font-normal">Family</th>
              <th className="px-3 text-right font-normal">Bits</th>
              <th className="px-3 text-right font-normal">Loaded</th>
              <th className="px-3 text-right font-normal">On disk</th>
              <th className="px-3 text-right font-normal">Vocabulary</th>
              <th className="px-3 font-normal">Alone</th>
              <th className="px-3 font-normal">Used by</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {list.local.map((model) => (
              <LocalRow key={model.id} model={model} />
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function LocalRow({ model }: { model: LocalModel }) {
  return (
    <tr className="num h-8 border-t hover:bg-hover">
      <td className="max-w-96 px-3">
        <span className="flex items-center gap-2">
          <span className="truncate font-medium" title={model.path ?? undefined}>
            {model.name}
          </span>
          {model.is_complete ? null : <Badge tone="warn">incomplete</Badge>}
          {model.origin === "embedded" ? <Badge>shipped</Badge> : null}
          {model.problem ? <Badge tone="bad">{model.problem}</Badge> : null}
        </span>
      </td>
      <td className="px-3 text-muted">{model.family || "–"}</td>
      <td className="px-3 text-right">{model.bits ?? "–"}</td>
      <td className="px-3 text-right">
        <Gigabytes value={model.weights_gb} />
      </td>
      <td className="px-3 text-right">{formatBytes(model.disk_bytes)}</td>
      <td className="px-3 text-right">{formatNumber(model.vocab_size, 6)}</td>
      <td className="px-3">
        <Fits verdict={model.verdict} />
      </td>
      <td className="px-3 text-muted">
        {model.used_by.length === 0 ? "–" : `${model.used_by.length} runs`}
      </td>
      <td className="px-3 text-right">
        {model.origin === "embedded" ? null : <RemoveModel model={model} />}
      </td>
    </tr>
  );
}

function RemoveModel({ model }: { model: LocalModel }) {
  const [isAsking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => removeModel(model.id, true),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["models"] }),
    onError: showError,
  });
  const verb = model.origin === "hub" ? "Delete" : "Forget";
  return (
    <>
      <Button
        look="quiet"
        size="sm"
        icon={<Trash2 aria-hidden />}
        aria-label={`${verb} ${model.name}`}
        onClick={() => setAsking(true)}
      />
      <Dialog
        open={isAsking}
        onOpenChange={setAsking}
        title={`${verb} ${model.name}?`}
        footer={
          <>
            <Button onClick={() => setAsking(false)}>Cancel</Button>
            <Button
              look="danger"
              onClick={() => {
                setAsking(false);
                remove.mutate();
              }}
            >
              {verb}
            </Button>
          </>
        }
      >
        <p>
          {model.used_by.length === 0
            ? "No run names it."
            : `Used by ${model.used_by.length} runs: they cannot be resumed without it.`}{" "}
          {model.origin === "hub"
            ? `${formatBytes(model.disk_bytes)} become free.`
            : "The folder itself stays where it is."}
        </p>
      </Dialog>
    </>
  );
}

function KnownModels({ known }: { known: readonly KnownEntry[] }) {
  const rows = known.flatMap((entry) => entry.forms.map((form) => ({ entry, form })));
  const download = useMutation({
    mutationFn: startDownload,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["downloads"] }),
    onError: showError,
  });
  return (
    <Card title="Known models" flush>
      <div className="max-h-96 overflow-y-auto">
        <table className="w-full text-left">
          <thead className="label sticky top-0 bg-surface">
            <tr className="h-8">
              <th className="px-3 font-normal">Model</th>
              <th className="px-3 font-normal">Weights</th>
              <th className="px-3 font-normal">Tokenizer</th>
              <th className="px-3 text-right font-normal">Size</th>
              <th className="px-3 font-normal">Alone</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {rows.map(({ entry, form }) => (
              <tr key={form.name} className="num h-8 border-t hover:bg-hover">
                <td className="px-3">
                  <span className="flex items-center gap-2">
                    <span className="font-medium">{entry.alias}</span>
                    {entry.vision ? <Badge>vision</Badge> : null}
                  </span>
                </td>
                <td className="px-3 text-muted">{form.form}</td>
                <td className="px-3 text-muted">{entry.tokenizer}</td>
                <td className="px-3 text-right">
                  <Gigabytes value={form.weights_gb} />
                </td>
                <td className="px-3">
                  <Fits verdict={form.verdict} />
                </td>
                <td className="px-3 text-right">
                  {form.is_here ? (
                    <Badge tone="good">here</Badge>
                  ) : form.hub_id ? (
                    <Button
                      size="sm"
                      icon={<DownloadIcon aria-hidden />}
                      busy={download.isPending && download.variables === form.hub_id}
                      onClick={() => download.mutate(form.hub_id ?? "")}
                    >
                      Download
                    </Button>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
