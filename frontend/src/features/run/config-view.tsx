import type { RunDetail } from "@/api/types";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { ScrolledText } from "@/components/scrolled-text";
import { FileHashes } from "@/features/data/file-hashes";

export function ConfigView({ detail }: { detail: RunDetail }) {
  const command = `opd train ${detail.folder}/config.yaml`;
  return (
    <div className="flex flex-col gap-3">
      <Card
        title="config.yaml"
        flush
        actions={<CopyButton label="Copy the YAML" text={detail.config_yaml} />}
      >
        <ScrolledText label="config.yaml" text={detail.config_yaml} className="p-3" />
      </Card>
      <FileHashes files={detail.files} />
      <Card title="On the command line" actions={<CopyButton label="Copy" text={command} />}>
        <code className="font-mono text-sm break-all">{command}</code>
      </Card>
    </div>
  );
}
