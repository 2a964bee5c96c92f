import { useQuery } from "@tanstack/react-query";
import { ChevronRight, Search } from "lucide-react";
import { useState } from "react";
import { ask, type Endpoint, endpoints } from "@/api/endpoints";
import { describeError } from "@/api/problem";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Input } from "@/components/input";
import { ScrolledText } from "@/components/scrolled-text";
import { SkeletonRows } from "@/components/states";
import { FieldTable } from "@/features/settings/field-table";

const SHOWN_CHARACTERS = 20_000;

/** The API from its own description: what each route takes and answers; reads can be tried here. */
export function EndpointList() {
  const query = useQuery(endpoints());
  const [words, setWords] = useState("");
  const wanted = words.trim().toLowerCase();
  const found = (query.data ?? []).filter(({ method, path, words: said, group }) =>
    `${method} ${path} ${said} ${group}`.toLowerCase().includes(wanted),
  );
  const groups = [...new Set(found.map(({ group }) => group))];
  return (
    <Card
      title="API reference"
      flush
      actions={
        <Input
          icon={<Search aria-hidden />}
          aria-label="Search the API"
          placeholder="Search"
          value={words}
          onChange={(event) => setWords(event.target.value)}
          className="w-44 [&_input]:h-6"
        />
      }
    >
      {query.isPending ? (
        <SkeletonRows count={6} />
      ) : query.error ? (
        <p className="p-3 text-bad">{describeError(query.error).title}</p>
      ) : found.length === 0 ? (
        <p className="p-3 text-muted">No route matches.</p>
      ) : (
        groups.map((group) => (
          <section key={group} aria-label={group} className="border-t first:border-t-0">
            <h3 className="label px-3 pt-2 first-letter:uppercase">{group}</h3>
            <ul>
              {found
                .filter((endpoint) => endpoint.group === group)
                .map((endpoint) => (
                  <EndpointRow key={`${endpoint.method} ${endpoint.path}`} endpoint={endpoint} />
                ))}
            </ul>
          </section>
        ))
      )}
    </Card>
  );
}

function EndpointRow({ endpoint }: { endpoint: Endpoint }) {
  const { method, path, words, scope } = endpoint;
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li className="px-3">
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
        className="-mx-3 flex w-[calc(100%+1.5rem)] items-baseline gap-2 px-3 py-1.5 text-left hover:bg-hover"
      >
        <ChevronRight
          aria-hidden
          className={`size-3 shrink-0 self-center text-faint ${isOpen ? "rotate-90" : ""}`}
        />
        <span className="w-14 shrink-0 font-mono text-sm text-muted">{method}</span>
        <span className="min-w-0 grow">
          <span className="block font-mono text-sm break-all">{path}</span>
          <span className="block text-sm text-muted">{words}</span>
        </span>
        {scope ? <Badge tone={scope === "write" ? "warn" : "neutral"}>{scope}</Badge> : null}
      </button>
      {isOpen ? <EndpointDetail endpoint={endpoint} /> : null}
    </li>
  );
}

function EndpointDetail({ endpoint }: { endpoint: Endpoint }) {
  const { path, parameters, sent, answered, canBeTried } = endpoint;
  const [isTried, setTried] = useState(false);
  return (
    <div className="mb-2 flex flex-col gap-3 border-l-2 pl-3">
      <FieldTable title="Parameters" fields={parameters} />
      <FieldTable title="Body" fields={sent} />
      <FieldTable title="Answer" fields={answered} />
      {canBeTried ? (
        <div>
          <Button size="sm" aria-label={`Try ${path}`} onClick={() => setTried(true)}>
            Try it
          </Button>
          {isTried ? <Reply path={path} /> : null}
        </div>
      ) : null}
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
