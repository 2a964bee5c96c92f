import { useQuery } from "@tanstack/react-query";
import { Columns3, Group } from "lucide-react";
import { type ReactNode, useState } from "react";
import { runKeys } from "@/api/runs";
import { Button } from "@/components/button";
import { Input } from "@/components/input";
import { Popover } from "@/components/popover";
import { useKeyName } from "@/features/runs/key-names";
import { columnsOf, type RunSearch, toggled } from "@/features/runs/listing";

interface PickerProps {
  search: RunSearch;
  change: (part: Partial<RunSearch>) => void;
}

const MOST_SHOWN = 80;
/** What people group by first; every other key can be found. */
const GROUPED_FIRST = ["method", "teacher", "student", "seed", "state", "tag"];

export function ColumnPicker({ search, change }: PickerProps) {
  const columns = columnsOf(search);
  return (
    <KeyPicker
      label="Choose columns"
      findLabel="Find a column"
      trigger={<Button icon={<Columns3 aria-hidden />}>Columns</Button>}
      first={columns}
      type="checkbox"
      isChosen={(key) => columns.includes(key)}
      onPick={(key) => change({ column: toggled(columns, key) ?? [] })}
    />
  );
}

export function GroupPicker({ search, change }: PickerProps) {
  const chosen = search.group;
  const name = useKeyName();
  return (
    <KeyPicker
      label="Group by"
      findLabel="Find a key to group by"
      trigger={
        <Button icon={<Group aria-hidden />} className={chosen ? "bg-selected" : ""}>
          {chosen ? `By ${name(chosen).toLowerCase()}` : "Group"}
        </Button>
      }
      first={["", ...new Set([...(chosen ? [chosen] : []), ...GROUPED_FIRST])]}
      type="radio"
      isChosen={(key) => key === (chosen ?? "")}
      onPick={(key) => change({ group: key || undefined })}
    />
  );
}

interface KeyPickerProps {
  label: string;
  findLabel: string;
  trigger: ReactNode;
  first: readonly string[];
  type: "checkbox" | "radio";
  isChosen: (key: string) => boolean;
  onPick: (key: string) => void;
}

/** Any setting or metric that some run has, found by typing. */
function KeyPicker({ label, findLabel, trigger, first, ...rest }: KeyPickerProps) {
  const keys = useQuery(runKeys());
  const name = useKeyName();
  const [words, setWords] = useState("");
  const wanted = words.toLowerCase();
  const matching = (keys.data?.keys ?? []).filter(
    (key) => key.includes(wanted) || name(key).toLowerCase().includes(wanted),
  );
  const shown = first.filter(
    (key) => key.includes(wanted) || name(key).toLowerCase().includes(wanted),
  );
  const ordered = [...shown, ...matching.filter((key) => !first.includes(key))];
  return (
    <Popover label={label} align="end" trigger={trigger}>
      <Input
        placeholder="Find a setting or metric"
        aria-label={findLabel}
        value={words}
        onChange={(event) => setWords(event.target.value)}
        className="mb-1 w-72"
      />
      <ul className="max-h-80 w-72 overflow-y-auto">
        {ordered.slice(0, MOST_SHOWN).map((key) => (
          <li key={key}>
            <label
              className="flex h-7 items-center gap-2 rounded-sm px-2 hover:bg-hover"
              title={key}
            >
              <input
                type={rest.type}
                name={label}
                checked={rest.isChosen(key)}
                onChange={() => rest.onPick(key)}
                className="accent-accent"
              />
              <span className="truncate">{key === "" ? "No groups" : name(key)}</span>
            </label>
          </li>
        ))}
      </ul>
    </Popover>
  );
}
