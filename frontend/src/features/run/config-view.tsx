import type { RunDetail } from "@/api/types";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";

export function ConfigView({ detail }: { detail: RunDetail }) {
  const command = `opd train ${detail.folder}/config.yaml`;
  return (
    <div className="flex flex-col gap-3">
      <Card
        title="config.yaml"
        flush
        actions={<CopyButton label="Copy the YAML" text={detail.config_yaml} />}
      >
        <pre className="overflow-x-auto p-3 font-mono text-sm">{detail.config_yaml}</pre>
      </Card>
      <Card title="On the command line" actions={<CopyButton label="Copy" text={command} />}>
        <code className="font-mono text-sm break-all">{command}</code>
      </Card>
    </div>
  );
}
