import { useQuery } from "@tanstack/react-query";
import { ListFilter, Search, Star, X } from "lucide-react";
import { type RefObject, useEffect, useState } from "react";
import { runKinds } from "@/api/methods";
import { runKeys } from "@/api/runs";
import { Button } from "@/components/button";
import { Input } from "@/components/input";
import { Popover } from "@/components/popover";
import { Select } from "@/components/select";
import { filterText, useKeyName } from "@/features/runs/key-names";
import { ColumnPicker, GroupPicker } from "@/features/runs/key-pickers";
import { type RunSearch, toggled } from "@/features/runs/listing";
import { RUN_STATES, RunStateDot } from "@/features/runs/run-state";
import { ViewsMenu } from "@/features/runs/views-menu";

interface FilterBarProps {
  search: RunSearch;
  /** What the address holds, without what follows from it. */
  address: RunSearch;
  change: (part: Partial<RunSearch>) => void;
  inputRef: RefObject<HTMLInputElement | null>;
}

export function FilterBar({ search, address, change, inputRef }: FilterBarProps) {
  const name = useKeyName();
  return (
    <div className="flex flex-wrap items-center gap-2 px-4 pb-2">
      <SearchBox value={search.q ?? ""} change={change} inputRef={inputRef} />
      <MethodFilter search={search} change={change} />
      <StateFilter search={search} change={change} />
      <ValueFilter search={search} change={change} />
      <Button
        icon={<Star aria-hidden />}
        aria-pressed={search.favourite ?? false}
        className="aria-pressed:bg-selected"
        onClick={() => change({ favourite: search.favourite ? undefined : true })}
      >
        Favourites
      </Button>
      <Select
        label="Archived runs"
        value={search.archived ?? "no"}
        choices={[
          { value: "no", label: "Not archived" },
          { value: "yes", label: "Archived" },
          { value: "all", label: "All" },
        ]}
        onChange={(value) =>
          change({ archived: value === "yes" || value === "all" ? value : undefined })
        }
      />
      <GroupPicker search={search} change={change} />
      <ColumnPicker search={search} change={change} />
      <ViewsMenu search={address} change={change} />
      {(search.filter ?? []).map((filter) => (
        <span
          key={filter}
          title={filter}
          className="num inline-flex h-6 items-center gap-1 rounded-md bg-selected pl-2 text-sm"
        >
          {filterText(filter, name)}
          <Button
            look="quiet"
            size="sm"
            icon={<X aria-hidden />}
            aria-label={`Remove the filter ${filterText(filter, name)}`}
            onClick={() => change({ filter: toggled(search.filter, filter) })}
          />
        </span>
      ))}
    </div>
  );
}

interface SearchBoxProps {
  value: string;
  change: FilterBarProps["change"];
  inputRef: FilterBarProps["inputRef"];
}

const TYPING_MS = 200;

/** Typing changes the address only after a short rest. */
function SearchBox({ value, change, inputRef }: SearchBoxProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) {
      return;
    }
    const timer = setTimeout(() => change({ q: text || undefined }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, value, change]);
  return (
    <Input
      ref={inputRef}
      type="search"
      icon={<Search aria-hidden />}
      placeholder="Search name, model, tag, note"
      aria-label="Search runs"
      value={text}
      onChange={(event) => setText(event.target.value)}
      className="w-64"
    />
  );
}

type PartProps = Pick<FilterBarProps, "search" | "change">;

const ANY = "any";

function MethodFilter({ search, change }: PartProps) {
  const kinds = useQuery(runKinds()).data ?? [];
  return (
    <Select
      label="Method"
      value={search.method ?? ANY}
      choices={[
        { value: ANY, label: "Any method" },
        ...kinds.map(({ name, title }) => ({ value: name, label: title })),
      ]}
      onChange={(method) => change({ method: method === ANY ? undefined : method })}
    />
  );
}

function StateFilter({ search, change }: PartProps) {
  const chosen = search.state ?? [];
  return (
    <Popover
      label="Filter by state"
      trigger={
        <Button className={chosen.length > 0 ? "bg-selected" : ""}>
          {chosen.length === 0 ? "Any state" : chosen.join(", ")}
        </Button>
      }
    >
      <ul>
        {RUN_STATES.map((state) => (
          <li key={state}>
            <label className="flex h-7 items-center gap-2 rounded-sm px-2 hover:bg-hover">
              <input
                type="checkbox"
                checked={chosen.includes(state)}
                onChange={() => change({ state: toggled(search.state, state) })}
                className="accent-accent"
              />
              <RunStateDot state={state} />
              {state}
            </label>
          </li>
        ))}
      </ul>
    </Popover>
  );
}

const SIGNS = ["=", "!=", "<", "<=", ">", ">=", "~"];

function ValueFilter({ search, change }: PartProps) {
  const keys = useQuery(runKeys());
  const nameOf = useKeyName();
  const [key, setKey] = useState("");
  const [sign, setSign] = useState("<");
  const [value, setValue] = useState("");
  function add() {
    if (key && value) {
      change({ filter: [...new Set([...(search.filter ?? []), `${key}${sign}${value}`])] });
      setValue("");
    }
  }
  return (
    <Popover
      label="Filter by a setting or metric"
      trigger={<Button icon={<ListFilter aria-hidden />}>Filter</Button>}
    >
      <form
        className="flex w-96 items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          add();
        }}
      >
        <Input
          list="run-keys"
          placeholder="Setting or metric"
          aria-label="Setting or metric"
          value={key}
          onChange={(event) => setKey(event.target.value)}
          className="grow"
        />
        <datalist id="run-keys">
          {(keys.data?.keys ?? []).map((name) => (
            <option key={name} value={name} label={nameOf(name)} />
          ))}
        </datalist>
        <Select
          label="Comparison"
          value={sign}
          onChange={setSign}
          choices={SIGNS.map((text) => ({ value: text, label: text }))}
        />
        <Input
          placeholder="Value"
          aria-label="Value"
          value={value}
          onChange={(event) => setValue(event.target.value)}
          className="w-24"
        />
        <Button type="submit" disabled={!key || !value}>
          Add
        </Button>
      </form>
    </Popover>
  );
}
