import { Search } from "lucide-react";
import { Input } from "@/components/input";
import { Select } from "@/components/select";
import { Segments } from "@/components/tabs";
import type { MapFilter } from "@/features/map/rows";
import { FamilySelect } from "@/features/models/family-select";

/** Memory that Macs are sold with, in GB. */
const MEMORIES = [16, 24, 32, 48, 64, 96, 128, 192, 256, 512];
const THIS = "this";

interface MapFilterBarProps {
  base: {
    value: string;
    choices: readonly { value: string; label: string }[];
    onChange: (name: string) => void;
  };
  memory: { value: number | null; onChange: (gigabytes: number | null) => void };
  families: readonly string[];
  filter: MapFilter;
  change: (filter: MapFilter) => void;
}

/** Whose settings, which memory, and which of the pairs; below it what the cells mean. */
export function MapFilterBar({ base, memory, families, filter, change }: MapFilterBarProps) {
  return (
    <div className="flex shrink-0 flex-col gap-2 px-4 pb-3">
      <div className="flex flex-wrap items-center gap-2">
        <Input
          type="search"
          icon={<Search aria-hidden />}
          aria-label="Search pairs"
          placeholder="Teacher or student"
          value={filter.words}
          onChange={(event) => change({ ...filter, words: event.target.value })}
          className="w-52"
        />
        <FamilySelect
          families={families}
          value={filter.family}
          onChange={(family) => change({ ...filter, family })}
        />
        <Segments
          label="Which pairs"
          value={filter.fits ? "fits" : "all"}
          choices={[
            { value: "fits", label: "Those that fit" },
            { value: "all", label: "All" },
          ]}
          onChange={(which) => change({ ...filter, fits: which === "fits" })}
        />
        <span className="ml-auto flex items-center gap-2 text-muted">
          Settings of
          <Select
            label="Settings of"
            value={base.value}
            choices={base.choices}
            onChange={base.onChange}
            className="w-52 text-ink"
          />
          on
          <Select
            label="Memory"
            value={memory.value === null ? THIS : String(memory.value)}
            choices={[
              { value: THIS, label: "this machine" },
              ...MEMORIES.map((gb) => ({ value: String(gb), label: `a Mac with ${gb} GB` })),
            ]}
            onChange={(value) => memory.onChange(value === THIS ? null : Number(value))}
            className="w-44 text-ink"
          />
        </span>
      </div>
      <p className="text-sm text-muted">
        A forecast, not a measurement. Each pair is in the most exact forms that fit, those on disk
        before others; * one row is learned from at a time, or activations are recomputed, so that
        it fits. Press a cell to plan that run.
      </p>
    </div>
  );
}
