import type { ConfigValues, MappedPair, Outlook, PairMap, Preset } from "@/api/types";

export interface MapFilter {
  words: string;
  family: string;
  /** Leaves pairs out that fit at no length. */
  fits: boolean;
}

/** The pairs that pass a filter, in the order of the map. */
export function rowsOf(map: PairMap, filter: MapFilter): MappedPair[] {
  const words = filter.words.toLowerCase().split(/\s+/).filter(Boolean);
  return map.pairs.filter(({ student, teacher, outlooks }) => {
    const text = `${teacher.name} ${student.name} ${teacher.family}`.toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      (filter.family === "" || teacher.family === filter.family) &&
      (!filter.fits || outlooks.some(({ verdict }) => verdict !== "does_not_fit"))
    );
  });
}

/** The settings of a block that a cell stands for. */
export function settingsOfCell(pair: MappedPair, length: number, outlook: Outlook): ConfigValues {
  return {
    teacher_model: pair.teacher.name,
    student_model: pair.student.name,
    max_generation_tokens: length,
    ...(outlook.changes as ConfigValues | undefined),
  };
}

/** What a cell changes beside pair and length, in words; empty where nothing. */
export function savingsOf(outlook: Outlook): string {
  const changes = outlook.changes ?? {};
  const said = [
    "grad_checkpoint" in changes ? "activations are recomputed" : "",
    "batch_size" in changes ? "one row is learned from at a time" : "",
  ];
  return said.filter(Boolean).join(", ");
}

export interface Base {
  preset: Preset;
  block: string;
}

/** The one that is chosen, else the recommended, else the first. */
export function baseOf(bases: readonly Base[], chosen: string | null): Base | undefined {
  return (
    bases.find(({ preset }) => preset.name === chosen) ??
    bases.find(({ preset }) => preset.recommended) ??
    bases[0]
  );
}

/** The presets whose settings a map can be made with, with the block of each. */
export function basesOf(presets: readonly Preset[]): Base[] {
  return presets.flatMap((preset) =>
    Object.entries(preset.config).flatMap(([block, value]) =>
      typeof value === "object" &&
      value !== null &&
      "max_generation_tokens" in value &&
      "teacher_model" in value
        ? [{ preset, block }]
        : [],
    ),
  );
}
