import { useMutation, useQuery } from "@tanstack/react-query";
import { toast } from "sonner";
import { body, client } from "@/api/client";
import { instance } from "@/api/instance";
import { queryClient } from "@/api/query-client";
import { useWorkspace } from "@/api/workspace";
import { useOverlays } from "@/app/overlays";
import { type Theme, usePreferences } from "@/app/preferences";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { formatNumber } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { Segments } from "@/components/tabs";
import { HubTokenForm } from "@/features/hub/hub-token";
import { showError } from "@/features/runs/run-actions";

export function SettingsPage() {
  return (
    <div className="flex flex-col">
      <PageHeader title="API and settings" />
      <div className="grid items-start gap-3 px-4 pb-4 lg:grid-cols-2">
        <Api />
        <div className="flex flex-col gap-3">
          <Appearance />
          <Card title="Hugging Face token">
            <HubTokenForm />
          </Card>
          <Diagnostics />
        </div>
      </div>
    </div>
  );
}

const THEMES: readonly { value: Theme; label: string }[] = [
  { value: "system", label: "As the system" },
  { value: "dark", label: "Dark" },
  { value: "light", label: "Light" },
];

function Appearance() {
  const { theme, setTheme } = usePreferences();
  const setCheatSheet = useOverlays((overlays) => overlays.setCheatSheet);
  return (
    <Card title="This screen">
      <div className="flex items-center justify-between">
        Theme
        <Segments label="Theme" value={theme} choices={THEMES} onChange={setTheme} />
      </div>
      <div className="mt-2 flex items-center justify-between">
        Keyboard shortcuts
        <Button size="sm" onClick={() => setCheatSheet(true)}>
          Show
        </Button>
      </div>
    </Card>
  );
}

function Api() {
  const origin = window.location.origin;
  const examples = [
    ["List runs", `curl ${origin}/api/runs -H "Authorization: Bearer $OPD_TOKEN"`],
    [
      "What is measured in a run",
      `curl "${origin}/api/runs/RUN/metrics/divergence?px=500" -H "Authorization: Bearer $OPD_TOKEN"`,
    ],
    ["The whole API", `curl ${origin}/api/openapi.json -H "Authorization: Bearer $OPD_TOKEN"`],
  ] as const;
  return (
    <Card title="Local API">
      <p className="text-muted">
        Everything this screen does is done over the API below. It answers on this machine only, and
        only to those who have the token: set OPD_TOKEN before opd serve to choose it.
      </p>
      <dl className="mt-3 flex flex-col gap-3">
        <div>
          <dt className="label">Address</dt>
          <dd className="font-mono text-sm">{origin}/api</dd>
        </div>
        {examples.map(([label, command]) => (
          <div key={label}>
            <dt className="label flex items-center justify-between">
              {label}
              <CopyButton label="Copy" text={command} />
            </dt>
            <dd className="rounded-md border bg-sunken p-2 font-mono text-sm break-words">
              {command}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Diagnostics() {
  const about = useQuery(instance()).data;
  const { connection, system } = useWorkspace();
  const rebuild = useMutation({
    mutationFn: () => body(client.POST("/api/reindex")),
    onSuccess: async ({ num_runs }) => {
      toast(`The index was rebuilt from ${num_runs} runs.`);
      await queryClient.invalidateQueries({ queryKey: ["runs"] });
    },
    onError: showError,
  });
  const rows = [
    ["Version", about?.version ?? "–"],
    ["Workspace", about?.workspace ?? "–"],
    ["Process", about ? String(about.pid) : "–"],
    ["Live connection", connection],
    ["Memory of the backend", `${formatNumber(system?.backend_memory_gb, 2)} GB`],
  ] as const;
  return (
    <Card
      title="Diagnostics"
      actions={
        <Button size="sm" busy={rebuild.isPending} onClick={() => rebuild.mutate()}>
          Rebuild the index of runs
        </Button>
      }
    >
      <dl>
        {rows.map(([label, value]) => (
          <div key={label} className="num flex min-h-7 items-center justify-between gap-4">
            <dt className="shrink-0 text-muted">{label}</dt>
            <dd className="truncate" title={value}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
