import type { LocalModel, ModelList } from "@/api/types";
import { Badge } from "@/components/badge";
import { Card } from "@/components/card";
import { formatBytes, formatNumber, formatPlural } from "@/components/format";
import { EmptyState } from "@/components/states";
import { RemoveModel } from "@/features/models/remove-model";
import { Fits, Gigabytes } from "@/features/models/weights";

/** The models whose weights are on this machine. */
export function LocalModels({ list }: { list: ModelList }) {
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
              <th className="px-3 font-normal">Fits alone</th>
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
        {model.used_by.length === 0 ? "–" : formatPlural(model.used_by.length, "run")}
      </td>
      <td className="px-3 text-right">
        {model.origin === "embedded" ? null : <RemoveModel model={model} />}
      </td>
    </tr>
  );
}
