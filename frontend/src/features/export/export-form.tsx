import { useMutation, useQuery } from "@tanstack/react-query";
import { Download, PackageOpen } from "lucide-react";
import { useState } from "react";
import { adapterUrl, exportOptions, startExport } from "@/api/exports";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import type { ExportForm as Form, GgufType, RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { Field } from "@/components/field";
import { formatBytes } from "@/components/format";
import { Input } from "@/components/input";
import { ScrolledText } from "@/components/scrolled-text";
import { Select } from "@/components/select";
import { ErrorState, Notice, Skeleton } from "@/components/states";
import { Switch } from "@/components/switch";
import { FormChoice } from "@/features/export/form-choice";
import { expectedBytes, loadsModel, suggestName } from "@/features/export/forms";
import { showError } from "@/features/runs/run-actions";

interface ExportFormProps {
  run: RunSummary;
  /** The checkpoint to begin with; null is the best. */
  chosenStep: number | null;
  runs: readonly RunSummary[];
  taken: readonly string[];
  onRun: (runId: string) => void;
}

const BITS = [2, 3, 4, 5, 6, 8].map((bits) => ({ value: String(bits), label: `${bits} bits` }));
const GGUF_TYPES: { value: GgufType; label: string }[] = [
  { value: "f16", label: "16 bits (f16)" },
  { value: "bf16", label: "16 bits (bf16)" },
  { value: "q8_0", label: "8 bits (q8_0)" },
];
const GROUPS = [32, 64, 128].map((size) => ({ value: String(size), label: `groups of ${size}` }));

export function ExportForm({ run, chosenStep, runs, taken, onRun }: ExportFormProps) {
  const [step, setStep] = useState(chosenStep);
  const [form, setForm] = useState<Form>("adapter");
  const [packing, setPacking] = useState({ bits: 4, groupSize: 64 });
  const [unpacks, setUnpacks] = useState(false);
  const [ggufType, setGgufType] = useState<GgufType>("f16");
  const [typed, setTyped] = useState<string | null>(null);
  const query = useQuery(exportOptions(run.run_id, step));
  const options = query.data;
  const start = useMutation({
    mutationFn: startExport,
    onSuccess: () => {
      setTyped(null);
      return queryClient.invalidateQueries({ queryKey: ["exports"] });
    },
    onError: showError,
  });
  if (query.error) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  if (!options) {
    return <Skeleton className="h-80 rounded-lg" />;
  }
  const checkpoint = options.checkpoint;
  const name = typed ?? suggestName(run.name, checkpoint, form, taken);
  const isBlocked = loadsModel(form) && options.blocked !== "";
  const bytes = expectedBytes(options, form, packing);
  return (
    <div className="grid items-start gap-3 xl:grid-cols-[minmax(0,1fr)_minmax(0,480px)]">
      <Card title="What to export">
        <div className="flex flex-col gap-3">
          <div className="flex flex-wrap gap-2">
            <Select
              label="Run"
              value={run.run_id}
              choices={runs.map((one) => ({ value: one.run_id, label: one.name }))}
              onChange={onRun}
              className="w-72 max-w-full"
            />
            <Select
              label="Checkpoint"
              value={String(checkpoint)}
              choices={options.checkpoints.toReversed().map((each) => ({
                value: String(each),
                label: `Step ${each}`,
                hint: each === options.best ? "best" : undefined,
              }))}
              onChange={(value) => setStep(Number(value))}
              className="w-36"
            />
          </div>
          <FormChoice options={options} packing={packing} form={form} onForm={setForm} />
          {form === "quantized" ? (
            <div className="flex flex-wrap gap-2">
              <Select
                label="Bits per weight"
                value={String(packing.bits)}
                choices={BITS}
                onChange={(bits) => setPacking({ ...packing, bits: Number(bits) })}
              />
              <Select
                label="Group size"
                value={String(packing.groupSize)}
                choices={GROUPS}
                onChange={(size) => setPacking({ ...packing, groupSize: Number(size) })}
              />
            </div>
          ) : null}
          {form === "fused" ? (
            <div className="flex items-center gap-2">
              <Switch label="Dequantize" checked={unpacks} onChange={setUnpacks} />
              <span>
                Dequantize the weights: a larger folder, and nothing of the adapter is rounded away
              </span>
            </div>
          ) : null}
          {form === "gguf" ? (
            <Select
              label="Weight format"
              value={ggufType}
              choices={GGUF_TYPES}
              onChange={(type) => setGgufType(type as GgufType)}
            />
          ) : null}
          {isBlocked ? (
            <Notice tone="warn" title={options.blocked}>
              This form loads the model. Pause the run or wait for it; the adapter alone can be
              exported now.
            </Notice>
          ) : null}
          <Field label="Name of the folder" help="In the workspace, under exports.">
            {(control) => (
              <Input
                {...control}
                value={name}
                maxLength={80}
                pattern="[A-Za-z0-9][A-Za-z0-9._\-]*"
                onChange={(event) => setTyped(event.target.value)}
              />
            )}
          </Field>
          <div className="flex flex-wrap items-center gap-2">
            <Button
              look="primary"
              icon={<PackageOpen aria-hidden />}
              busy={start.isPending}
              disabled={name === "" || isBlocked}
              onClick={() =>
                start.mutate({
                  run_id: run.run_id,
                  checkpoint,
                  form,
                  name,
                  bits: packing.bits,
                  group_size: packing.groupSize,
                  dequantize: form === "fused" && unpacks,
                  gguf_type: ggufType,
                })
              }
            >
              Export{bytes === null ? "" : `, about ${formatBytes(bytes)}`}
            </Button>
            <Button
              icon={<Download aria-hidden />}
              onClick={() => window.location.assign(adapterUrl(run.run_id, checkpoint))}
            >
              Download the adapter as a zip
            </Button>
          </div>
        </div>
      </Card>
      <Card title="Model card" actions={<CopyButton text={options.card} label="Copy the card" />}>
        <ScrolledText label="Model card" text={options.card} className="max-h-105" wrap />
      </Card>
    </div>
  );
}
