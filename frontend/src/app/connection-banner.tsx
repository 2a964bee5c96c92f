import { useQuery } from "@tanstack/react-query";
import { KeyRound, WifiOff } from "lucide-react";
import { queryClient } from "@/api/query-client";
import { type Reach, reach } from "@/api/reach";
import { useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { CopyButton } from "@/components/copy-button";
import { Popover } from "@/components/popover";

const WORDS: Record<Reach, string> = {
  gone: "The backend does not answer. What you see is what was last known; runs go on.",
  refused: "This page is not signed in any more. Open the link that the backend printed.",
  there: "The connection broke and is being made again. Nothing is lost.",
};

/** Says which of the three it is: backend gone, token refused, or a broken line. */
export function ConnectionBanner() {
  const found = useQuery(reach()).data ?? "there";
  return (
    <div
      role="status"
      className="flex min-h-9 shrink-0 items-center gap-2 border-b bg-warn-soft px-4 py-1 text-warn"
    >
      {found === "refused" ? (
        <KeyRound className="size-3.5 shrink-0" aria-hidden />
      ) : (
        <WifiOff className="size-3.5 shrink-0" aria-hidden />
      )}
      <span>{WORDS[found]}</span>
      <span className="ml-auto flex shrink-0 gap-1">
        <Popover
          label="Diagnostics"
          align="end"
          trigger={
            <Button size="sm" look="quiet" className="text-inherit">
              What can I do?
            </Button>
          }
        >
          <Diagnostics found={found} />
        </Popover>
        <Button size="sm" onClick={() => void queryClient.refetchQueries()}>
          Try now
        </Button>
      </span>
    </div>
  );
}

function Diagnostics({ found }: { found: Reach }) {
  const { queue, system, runs } = useWorkspace();
  const active = queue?.active ? (runs[queue.active.run_id]?.name ?? queue.active.run_id) : null;
  const facts = [
    `Address: ${window.location.origin}`,
    `Seen: ${found === "gone" ? "nothing answers there" : found === "refused" ? "it answers, and refuses this page\u2019s token" : "it answers"}`,
    `Run at work when last seen: ${active ?? "none"}`,
    system ? `Memory available then: ${system.memory_available_gb.toFixed(1)} GB` : "",
    `Time: ${new Date().toISOString()}`,
  ].filter(Boolean);
  return (
    <div className="flex w-96 max-w-full flex-col gap-2 p-1">
      <p>
        {found === "refused"
          ? "The backend was started again with another token, or the session\u2019s cookie is gone. Open the link from its output; it works on every page."
          : "Start it again with the command below, in a terminal or by opening the app. A run at work goes on meanwhile and is found again; so are the queue and downloads."}
      </p>
      <code className="rounded-sm bg-sunken px-2 py-1 font-mono text-sm">opd serve</code>
      <ul className="text-sm text-muted">
        {facts.map((fact) => (
          <li key={fact}>{fact}</li>
        ))}
      </ul>
      <span>
        <CopyButton label="Copy this" text={facts.join("\n")} />
      </span>
    </div>
  );
}
