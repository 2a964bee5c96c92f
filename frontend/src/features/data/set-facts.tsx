import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { PromptSet } from "@/api/types";
import { CopyButton } from "@/components/copy-button";
import { formatAgo, formatBytes } from "@/components/format";
import { setName } from "@/features/data/set-name";

const ORIGINS: Readonly<Record<PromptSet["origin"], string>> = {
  upload: "copied into the workspace",
  path: "used where it is",
  shipped: "shipped with this program",
};

/** Where a set lies, who uses it, and which others hold the same. */
export function SetFacts({ set, all }: { set: PromptSet; all: readonly PromptSet[] }) {
  const twins = all.filter(({ id }) => set.same_as?.includes(id));
  return (
    <dl className="mb-4 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1">
      <Fact name="File">
        <span className="flex min-w-0 items-center gap-1">
          <span className="truncate font-mono text-sm" title={set.path}>
            {set.path}
          </span>
          <CopyButton label="Copy" text={set.path} />
        </span>
      </Fact>
      <Fact name="Size">
        {formatBytes(set.num_bytes)}, {ORIGINS[set.origin]}, added {formatAgo(set.added)}
      </Fact>
      <Fact name="Used by">
        {set.used_by.length === 0 ? (
          <span className="text-muted">no run</span>
        ) : (
          <span className="flex flex-wrap gap-x-3">
            {set.used_by.map((runId, index) => (
              <Link
                key={runId}
                to="/runs/$runId"
                params={{ runId }}
                className="text-accent hover:underline"
              >
                {set.used_by_names[index] ?? runId}
              </Link>
            ))}
          </span>
        )}
      </Fact>
      {twins.length > 0 ? (
        <Fact name="Same content">
          <span className="flex flex-wrap gap-x-3">
            {twins.map((twin) => (
              <Link
                key={twin.id}
                to="/data"
                search={(now) => ({ ...now, set: twin.id })}
                className="text-accent hover:underline"
              >
                {setName(twin, all)}
              </Link>
            ))}
          </span>
        </Fact>
      ) : null}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="num min-w-0">{children}</dd>
    </>
  );
}
