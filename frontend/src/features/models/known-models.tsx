import { useMutation } from "@tanstack/react-query";
import { Download as DownloadIcon } from "lucide-react";
import { startDownload } from "@/api/models";
import type { KnownEntry } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Fits, Gigabytes } from "@/features/models/weights";
import { showError } from "@/features/runs/run-actions";

/** The models this program knows by a short name, each in the forms the hub has. */
export function KnownModels({ known }: { known: readonly KnownEntry[] }) {
  return (
    <Card title="Known models" flush>
      <table className="w-full text-left">
        <thead className="label">
          <tr className="h-8">
            <th className="px-3 font-normal">Model</th>
            <th className="px-3 font-normal">Tokenizer</th>
            <th className="px-3 font-normal">Weights</th>
            <th className="px-3 text-right font-normal">Size</th>
            <th className="px-3 font-normal">Fits alone</th>
            <th />
          </tr>
        </thead>
        {known.map((entry) => (
          <KnownForms key={entry.alias} entry={entry} />
        ))}
      </table>
    </Card>
  );
}

/** One model: its name once, a line for each form; forms that can be neither had nor used are left out. */
function KnownForms({ entry }: { entry: KnownEntry }) {
  const download = useMutation({ mutationFn: startDownload, onError: showError });
  return (
    <tbody className="border-t">
      {entry.forms
        .filter((form) => form.is_here || form.hub_id)
        .map((form, index) => (
          <tr key={form.name} className="num h-8 hover:bg-hover">
            <td className="px-3">
              {index === 0 ? (
                <span className="flex items-center gap-2">
                  <span className="font-medium">{entry.alias}</span>
                  {entry.vision ? <Badge>vision</Badge> : null}
                </span>
              ) : null}
            </td>
            <td className="px-3 text-muted">{index === 0 ? entry.tokenizer : null}</td>
            <td className="px-3">{form.form}</td>
            <td className="px-3 text-right">
              <Gigabytes value={form.weights_gb} />
            </td>
            <td className="px-3">
              <Fits verdict={form.verdict} />
            </td>
            <td className="px-3 text-right">
              {form.is_here ? (
                <Badge tone="good">here</Badge>
              ) : (
                <Button
                  size="sm"
                  icon={<DownloadIcon aria-hidden />}
                  aria-label={`Download ${form.name}`}
                  busy={download.isPending && download.variables === form.hub_id}
                  onClick={() => download.mutate(form.hub_id ?? "")}
                >
                  Download
                </Button>
              )}
            </td>
          </tr>
        ))}
    </tbody>
  );
}
