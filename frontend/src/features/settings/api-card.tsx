import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";

/** Where the API is, and commands that ask it. */
export function ApiCard() {
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
