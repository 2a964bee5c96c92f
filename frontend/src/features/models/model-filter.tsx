import clsx from "clsx";
import { Search } from "lucide-react";
import { formatPlural } from "@/components/format";
import { Input } from "@/components/input";
import { Segments } from "@/components/tabs";
import type { ModelFilter } from "@/features/models/cards";
import { FamilySelect } from "@/features/models/family-select";

interface ModelFilterBarProps {
  filter: ModelFilter;
  change: (filter: ModelFilter) => void;
  families: readonly string[];
  /** How many are shown; null while that is not known. */
  count: number | null;
  /** What "fits" is about, such as "Fits beside the student". */
  fitsLabel: string;
}

/** Search and the few switches that a list of models is looked through with. */
export function ModelFilterBar({
  filter,
  change,
  families,
  count,
  fitsLabel,
}: ModelFilterBarProps) {
  const toggle = (key: "thinking" | "vision" | "fits", label: string) => (
    <button
      type="button"
      aria-pressed={filter[key]}
      onClick={() => change({ ...filter, [key]: !filter[key] })}
      className={clsx(
        "h-6 rounded-md border px-2 text-sm whitespace-nowrap",
        filter[key]
          ? "border-accent bg-accent-soft text-accent"
          : "border-line-strong text-muted hover:bg-hover hover:text-ink",
      )}
    >
      {label}
    </button>
  );
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Input
        type="search"
        icon={<Search aria-hidden />}
        aria-label="Search models"
        placeholder="Name, family or hub id"
        value={filter.words}
        onChange={(event) => change({ ...filter, words: event.target.value })}
        className="w-60"
      />
      <Segments
        label="Where models are"
        value={filter.where}
        choices={[
          { value: "all", label: "All" },
          { value: "here", label: "On this machine" },
        ]}
        onChange={(where) => change({ ...filter, where })}
      />
      <FamilySelect
        size="sm"
        families={families}
        value={filter.family}
        onChange={(family) => change({ ...filter, family })}
      />
      {toggle("fits", fitsLabel)}
      {toggle("thinking", "Thinks")}
      {toggle("vision", "Sees pictures")}
      <span className="num ml-auto text-sm text-muted" role="status">
        {count === null ? "" : formatPlural(count, "model")}
      </span>
    </div>
  );
}
