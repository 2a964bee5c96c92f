import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useState } from "react";
import { ask, type Endpoint, endpoints } from "@/api/endpoints";
import { describeError } from "@/api/problem";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Input } from "@/components/input";
import { ScrolledText } from "@/components/scrolled-text";
import { SkeletonRows } from "@/components/states";

const SHOWN_CHARACTERS = 20_000;

/** Every address of the API from its own description; what only reads can be asked here. */
export function EndpointList() {
  const query = useQuery(endpoints());
  const [words, setWords] = useState("");
  const wanted = words.trim().toLowerCase();
  const found = (query.data ?? []).filter(({ method, path, words: said }) =>
    `${method} ${path} ${said}`.toLowerCase().includes(wanted),
  );
  return (
    <Card
      title="Every address"
      flush
      actions={
        <Input
          icon={<Search aria-hidden />}
          aria-label="Search the API"
          placeholder="Search"
          value={words}
          onChange={(event) => setWords(event.target.value)}
          className="w-44"
        />
      }
    >
      {query.isPending ? (
        <SkeletonRows count={6} />
      ) : query.error ? (
        <p className="p-3 text-bad">{describeError(query.error).title}</p>
      ) : found.length === 0 ? (
        <p className="p-3 text-muted">No address is like that.</p>
      ) : (
        <ul>
          {found.map((endpoint) => (
            <EndpointRow key={`${endpoint.method} ${endpoint.path}`} endpoint={endpoint} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function EndpointRow({ endpoint }: { endpoint: Endpoint }) {
  const { method, path, words, canBeTried } = endpoint;
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li className="border-t px-3 py-1.5 first:border-t-0">
      <div className="flex min-h-6 items-baseline gap-2">
        <span className="w-14 shrink-0 font-mono text-sm text-faint">{method}</span>
        <span className="min-w-0 grow font-mono text-sm break-all">{path}</span>
        {canBeTried ? (
          <Button
            size="sm"
            look="quiet"
            aria-expanded={isOpen}
            aria-label={`${isOpen ? "Close" : "Ask"} ${path}`}
            onClick={() => setIsOpen(!isOpen)}
          >
            {isOpen ? "Close" : "Ask"}
          </Button>
        ) : null}
      </div>
      <p className="pl-16 text-sm text-muted">{words}</p>
      {isOpen ? <Reply path={path} /> : null}
    </li>
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
      text={reply.isPending ? "Asking…" : (text ?? "")}
      className="my-1 max-h-64 rounded-md border bg-sunken p-2"
    />
  );
}
