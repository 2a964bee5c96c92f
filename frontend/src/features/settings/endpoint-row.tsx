import { useQuery } from "@tanstack/react-query";
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { ask, type Endpoint } from "@/api/endpoints";
import { apiTokens } from "@/api/tokens";
import { Badge, type Tone } from "@/components/badge";
import { Button } from "@/components/button";
import { CopyButton } from "@/components/copy-button";
import { ScrolledText } from "@/components/scrolled-text";
import { curlOf } from "@/features/settings/curls";
import { FieldTable } from "@/features/settings/field-table";
import { useKnown } from "@/features/settings/use-known";

const SHOWN_CHARACTERS = 20_000;
const HIDDEN = "••••••";

/** What reads stands out from what changes, and what deletes from both. */
const TONES: Readonly<Record<string, Tone>> = { GET: "accent", DELETE: "bad" };

/** A route in one line; it opens to all that is known of it. */
export function EndpointRow({ endpoint }: { endpoint: Endpoint }) {
  const { method, path, words, scope } = endpoint;
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li className="px-3">
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
        className="-mx-3 flex w-[calc(100%+1.5rem)] items-center gap-2 px-3 py-1.5 text-left hover:bg-hover"
      >
        <ChevronRight
          aria-hidden
          className={`size-3 shrink-0 text-faint ${isOpen ? "rotate-90" : ""}`}
        />
        <span className="w-16 shrink-0 font-mono">
          <Badge tone={TONES[method] ?? "neutral"}>{method}</Badge>
        </span>
        <span className="grid min-w-0 grow items-baseline gap-x-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]">
          <span className="font-mono text-sm break-all">{path}</span>
          <span className="text-sm text-muted">{words}</span>
        </span>
        <span className="w-20 shrink-0 text-right text-sm text-faint">
          {scope === "write" ? "write token" : null}
        </span>
      </button>
      {isOpen ? <EndpointDetail endpoint={endpoint} /> : null}
    </li>
  );
}

function EndpointDetail({ endpoint }: { endpoint: Endpoint }) {
  const { path, parameters, sent, answered, canBeTried } = endpoint;
  const [isTried, setTried] = useState(false);
  return (
    <div className="mb-2 ml-5 grid gap-x-6 gap-y-3 border-l-2 pl-3 lg:grid-cols-2">
      <div className="flex min-w-0 flex-col gap-3 lg:order-2">
        <Command endpoint={endpoint} />
        {canBeTried ? (
          <div>
            <Button size="sm" aria-label={`Try ${path}`} onClick={() => setTried(true)}>
              Try it
            </Button>
            {isTried ? <Reply path={path} /> : null}
          </div>
        ) : null}
      </div>
      <div className="flex min-w-0 flex-col gap-3">
        <FieldTable title="Parameters" fields={parameters} />
        <FieldTable title="Body" fields={sent} />
        <FieldTable title="Answer" fields={answered} isAnswer />
      </div>
    </div>
  );
}

/** How it is asked from a shell; what is copied has the token in it. */
function Command({ endpoint }: { endpoint: Endpoint }) {
  const tokens = useQuery(apiTokens()).data;
  const known = useKnown();
  if (!tokens) {
    return null;
  }
  const from = { origin: window.location.origin, known };
  const { command, blanks } = curlOf(endpoint, { ...from, tokens });
  const shown = curlOf(endpoint, { ...from, tokens: { read: HIDDEN, write: HIDDEN } }).command;
  return (
    <div>
      <div className="flex items-center justify-between gap-2">
        <h4 className="label">
          {blanks.length === 0 ? "As a command" : `As a command; fill in ${blanks.join(", ")}`}
        </h4>
        <CopyButton
          label="Copy"
          about={`the command of ${endpoint.method} ${endpoint.path}`}
          text={command}
        />
      </div>
      <code className="block rounded-md border bg-sunken px-2 py-1.5 font-mono text-sm break-all">
        {shown}
      </code>
    </div>
  );
}

function Reply({ path }: { path: string }) {
  const reply = useQuery({
    queryKey: ["reply", path],
    queryFn: ({ signal }) => ask(path, signal),
    gcTime: 0,
    retry: false,
  });
  const text = reply.error
    ? reply.error.message
    : JSON.stringify(reply.data, null, 2)?.slice(0, SHOWN_CHARACTERS);
  return (
    <ScrolledText
      label={`What ${path} answers`}
      text={reply.isPending ? "Waiting…" : (text ?? "")}
      className="my-1 max-h-64 rounded-md border bg-sunken p-2"
    />
  );
}
