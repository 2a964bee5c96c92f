import { useQuery } from "@tanstack/react-query";
import { describeError } from "@/api/problem";
import { hostsOf } from "@/api/ranks";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { Notice } from "@/components/states";
import { useChosenRanks } from "@/features/ranks/chosen-ranks";

const MOST = 8;

/** Whether several processes, or several Macs, work on the run that is about to start. */
export function RanksChoice() {
  const { ranks, hosts, choose } = useChosenRanks();
  const file = hosts.trim();
  return (
    <details className="mb-3" open={ranks > 1 || file !== ""}>
      <summary className="cursor-pointer text-muted">Several processes or Macs</summary>
      <div className="mt-2 grid gap-3 sm:grid-cols-[9rem_minmax(0,1fr)]">
        <Field label="Processes here" help="Each holds both models.">
          {(control) => (
            <Input
              {...control}
              type="number"
              min={1}
              max={MOST}
              value={file === "" ? ranks : 1}
              disabled={file !== ""}
              onChange={(event) => {
                const number = Math.round(event.target.valueAsNumber);
                choose({ ranks: Math.min(MOST, Math.max(1, number || 1)) });
              }}
            />
          )}
        </Field>
        <Field label="Or a file of hosts" help="One process on each; docs/scale.md has its form.">
          {(control) => (
            <Input
              {...control}
              value={hosts}
              placeholder="/Users/me/hosts.json"
              spellCheck={false}
              onChange={(event) => choose({ hosts: event.target.value })}
            />
          )}
        </Field>
      </div>
      {file === "" ? null : <HostsQuestion path={file} />}
    </details>
  );
}

/** Names every other machine, and starts nothing on them before the user said yes. */
function HostsQuestion({ path }: { path: string }) {
  const { confirmed, choose } = useChosenRanks();
  const found = useQuery(hostsOf(path));
  if (found.error) {
    const { title, reason } = describeError(found.error);
    return (
      <div className="mt-3">
        <Notice tone="bad" title={title}>
          {reason}
        </Notice>
      </div>
    );
  }
  const others = found.data?.hosts.slice(1) ?? [];
  if (others.length === 0) {
    return null;
  }
  const names = others.map(({ ssh }) => ssh);
  return (
    <label className="mt-3 flex items-start gap-2">
      <input
        type="checkbox"
        className="mt-1"
        checked={confirmed.length > 0}
        onChange={(event) => choose({ confirmed: event.target.checked ? names : [] })}
      />
      <span>
        Start this program over ssh on{" "}
        {others.map(({ ssh, ips }, index) => (
          <span key={ssh}>
            {index > 0 ? ", " : ""}
            <strong>{ssh}</strong> <span className="num text-muted">({ips.join(", ")})</span>
          </span>
        ))}
      </span>
    </label>
  );
}
