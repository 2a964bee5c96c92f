import { create } from "zustand";
import { persist } from "zustand/middleware";
import type { ConfigValues, Preset } from "@/api/types";

export type Setting = ConfigValues[string];

interface DraftState {
  preset: string | null;
  config: ConfigValues;
  take: (preset: Preset) => void;
  set: (key: string, value: Setting) => void;
  clear: () => void;
}

/** The run being planned; kept in this browser until it is started or another preset is taken. */
export const useDraft = create<DraftState>()(
  persist(
    (set) => ({
      preset: null,
      config: {},
      take: (preset) => set({ preset: preset.name, config: plain(preset.config) }),
      set: (key, value) => set(({ config }) => ({ config: withSetting(config, key, value) })),
      clear: () => set({ preset: null, config: {} }),
    }),
    { name: "opd.draft" },
  ),
);

/** A config as JSON values, without the types of the schema. */
export function plain(config: Preset["config"]): ConfigValues {
  return JSON.parse(JSON.stringify(config)) as ConfigValues;
}

/** The value under a dotted key. */
export function settingOf(config: ConfigValues, key: string): Setting | undefined {
  let value: Setting | undefined = config;
  for (const part of key.split(".")) {
    value = isMapping(value) ? value[part] : undefined;
  }
  return value;
}

/** A copy with the value under a dotted key replaced. */
export function withSetting(config: ConfigValues, key: string, value: Setting): ConfigValues {
  const [first = "", ...rest] = key.split(".");
  if (rest.length === 0) {
    return { ...config, [first]: value };
  }
  const inner = config[first];
  return { ...config, [first]: withSetting(isMapping(inner) ? inner : {}, rest.join("."), value) };
}

export interface Difference {
  key: string;
  preset: Setting | undefined;
  draft: Setting | undefined;
}

/** The settings in which a draft differs from its preset, by dotted key. */
export function differences(preset: ConfigValues, draft: ConfigValues): Difference[] {
  const before = new Map(flatten(preset));
  const after = new Map(flatten(draft));
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((key) => ({ key, preset: before.get(key), draft: after.get(key) }))
    .filter((row) => JSON.stringify(row.preset) !== JSON.stringify(row.draft));
}

function flatten(values: ConfigValues, prefix = ""): [string, Setting][] {
  return Object.entries(values).flatMap(([name, value]): [string, Setting][] =>
    isMapping(value) ? flatten(value, `${prefix}${name}.`) : [[`${prefix}${name}`, value]],
  );
}

function isMapping(value: unknown): value is ConfigValues {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same run from a terminal: the preset and what differs from it. */
export function asCommand(preset: string, changed: readonly Difference[]): string {
  const parts = changed.map(
    ({ key, draft }) =>
      `--set ${quote(`${key}=${typeof draft === "string" ? draft : JSON.stringify(draft ?? null)}`)}`,
  );
  return [`opd train ${preset}`, ...parts].join(" \\\n  ");
}

export function asCurl(origin: string, config: ConfigValues): string {
  const data = JSON.stringify({ config, start: true });
  return [
    `curl ${origin}/api/runs`,
    `-H "Authorization: Bearer $OPD_TOKEN"`,
    "-H 'Content-Type: application/json'",
    `-d ${quote(data)}`,
  ].join(" \\\n  ");
}

/** Quoted for a POSIX shell where that is needed. */
function quote(text: string): string {
  return /^[\w./:=@,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
