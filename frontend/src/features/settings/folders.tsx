import { useQuery } from "@tanstack/react-query";
import { instance } from "@/api/instance";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";

/** Where everything lies on this machine, and what decides that. */
export function Folders() {
  const about = useQuery(instance()).data;
  const folders = [
    {
      label: "Workspace",
      path: about?.workspace,
      words: "Runs, adapters, exports and your files. OPD_WORKSPACE or --workspace chooses it.",
    },
    {
      label: "Downloaded models",
      path: about?.downloads,
      words: "The hub's own cache, shared with other programs. HF_HOME chooses it.",
    },
  ];
  return (
    <Card title="Folders">
      <dl className="flex flex-col gap-3">
        {folders.map(({ label, path, words }) => (
          <div key={label}>
            <dt className="label flex items-center justify-between">
              {label}
              <CopyButton label="Copy" text={path ?? ""} />
            </dt>
            <dd className="font-mono text-sm break-all">{path ?? "–"}</dd>
            <dd className="text-sm text-muted">{words}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
