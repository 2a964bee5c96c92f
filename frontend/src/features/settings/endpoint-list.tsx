import { useQuery } from "@tanstack/react-query";
import { ChevronRight, Search } from "lucide-react";
import { useState } from "react";
import { flushSync } from "react-dom";
import { endpoints } from "@/api/endpoints";
import { describeError } from "@/api/problem";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatPlural } from "@/components/format";
import { Input } from "@/components/input";
import { SkeletonRows } from "@/components/states";
import { type EndpointGroup, groupsOf } from "@/features/settings/endpoint-groups";
import { EndpointRow } from "@/features/settings/endpoint-row";

/** The API from its own description: what each route takes and answers, and a command that asks it. */
export function EndpointList() {
  const query = useQuery(endpoints());
  const [words, setWords] = useState("");
  const groups = groupsOf(query.data ?? [], words);
  const first = query.data?.[0]?.group;
  const [opened, setOpened] = useState<ReadonlySet<string> | null>(null);
  // What is searched for is shown, whatever was folded before.
  const isOpen = (name: string) =>
    words.trim() !== "" || (opened === null ? name === first : opened.has(name));
  const all = groups.map(({ name }) => name);
  const open = all.filter(isOpen);
  const toggle = (name: string) =>
    setOpened(new Set(isOpen(name) ? open.filter((each) => each !== name) : [...open, name]));
  const isAllOpen = open.length === all.length;
  return (
    <Card
      title="API reference"
      flush
      actions={
        <>
          <Button size="sm" onClick={() => setOpened(new Set(isAllOpen ? [] : all))}>
            {isAllOpen ? "Fold all" : "Unfold all"}
          </Button>
          <Input
            icon={<Search aria-hidden />}
            aria-label="Search the API"
            placeholder="Path, verb or word"
            value={words}
            onChange={(event) => setWords(event.target.value)}
            className="w-52 [&_input]:h-6"
          />
        </>
      }
    >
      {query.isPending ? (
        <SkeletonRows count={6} />
      ) : query.error ? (
        <p className="p-3 text-bad">{describeError(query.error).title}</p>
      ) : groups.length === 0 ? (
        <p className="p-3 text-muted">No route matches.</p>
      ) : (
        <div className="grid xl:grid-cols-[200px_minmax(0,1fr)]">
          <Index groups={groups} onGroup={(name) => setOpened(new Set([...open, name]))} />
          <div className="min-w-0 xl:border-l">
            {groups.map((group) => (
              <GroupSection
                key={group.name}
                group={group}
                isOpen={isOpen(group.name)}
                onToggle={() => toggle(group.name)}
              />
            ))}
          </div>
        </div>
      )}
    </Card>
  );
}

const idOf = (name: string) => `routes-${name.replaceAll(" ", "-")}`;

interface IndexProps {
  groups: readonly EndpointGroup[];
  onGroup: (name: string) => void;
}

/** Where there is room, every group beside the list, to go there. */
function Index({ groups, onGroup }: IndexProps) {
  return (
    <nav aria-label="Groups of routes" className="hidden xl:block">
      <ul className="sticky top-0 max-h-[calc(100vh-8rem)] overflow-y-auto p-2">
        {groups.map(({ name, endpoints: found }) => (
          <li key={name}>
            <button
              type="button"
              className="flex w-full items-center justify-between gap-2 rounded-md px-2 py-1 text-left text-muted hover:bg-hover hover:text-ink"
              onClick={() => {
                // It is as long as it will be before it is scrolled to.
                flushSync(() => onGroup(name));
                document.getElementById(idOf(name))?.scrollIntoView({ block: "start" });
              }}
            >
              <span className="first-letter:uppercase">{name}</span>
              <span className="num text-sm text-faint">{found.length}</span>
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

interface GroupSectionProps {
  group: EndpointGroup;
  isOpen: boolean;
  onToggle: () => void;
}

function GroupSection({ group: { name, endpoints: found }, isOpen, onToggle }: GroupSectionProps) {
  return (
    <section id={idOf(name)} aria-label={name} className="scroll-mt-3 border-t first:border-t-0">
      <h3>
        <button
          type="button"
          aria-expanded={isOpen}
          onClick={onToggle}
          className="flex w-full items-center gap-2 px-3 py-2 text-left hover:bg-hover"
        >
          <ChevronRight
            aria-hidden
            className={`size-3 shrink-0 text-faint ${isOpen ? "rotate-90" : ""}`}
          />
          <span className="font-medium first-letter:uppercase">{name}</span>
          <span className="num text-sm text-faint">{formatPlural(found.length, "route")}</span>
        </button>
      </h3>
      {isOpen ? (
        <ul className="pb-1">
          {found.map((endpoint) => (
            <EndpointRow key={`${endpoint.method} ${endpoint.path}`} endpoint={endpoint} />
          ))}
        </ul>
      ) : null}
    </section>
  );
}
