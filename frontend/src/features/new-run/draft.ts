import { create } from "zustand";
import { persist } from "zustand/middleware";
import type { ConfigValues, FormField, Preset } from "@/api/types";

export type Setting = ConfigValues[string];

/** A run that a draft began as a copy of; it is kept whole, since the run may be deleted. */
export interface CopiedRun {
  id: string;
  name: string;
  folder: string;
  config: ConfigValues;
}

/** What a draft began with is a preset or a run. */
interface Draft {
  preset: string | null;
  copied?: CopiedRun | null;
  config: ConfigValues;
}

const DRAFT_KEY = "opd.draft";

const NOTHING: Draft = { preset: null, copied: null, config: {} };

interface DraftState extends Draft {
  /** Drafts of the methods that are not chosen now, as they were left. */
  others: Readonly<Record<string, Draft>>;
  take: (preset: Preset) => void;
  /** Begins with a preset, unless something was begun in the meantime: that was the user's choice. */
  begin: (preset: Preset) => void;
  /** Goes on with what was planned of a preset's method, else with the preset. */
  turnTo: (preset: Preset) => void;
  /** Begins with another run's settings. */
  copy: (run: CopiedRun) => void;
  set: (key: string, value: Setting) => void;
  clear: () => void;
  /** Drops a draft that the program has no method for. */
  dropForeign: (isKnown: (config: ConfigValues) => boolean) => void;
}

/** The run being planned; kept in this browser until it is started or another preset is taken. */
export const useDraft = create<DraftState>()(
  persist(
    (set) => ({
      preset: null,
      copied: null,
      config: {},
      others: {},
      take: (preset) => set((draft) => ({ ...setAside(draft), ...begun(preset) })),
      begin: (preset) => set((draft) => (isBegun(draft) ? draft : begun(preset))),
      turnTo: (preset) =>
        set((draft) =>
          draft.config["method"] === preset.config.method
            ? draft
            : { ...setAside(draft), ...(draft.others[preset.config.method] ?? begun(preset)) },
        ),
      copy: (run) =>
        set((draft) => ({ ...setAside(draft), preset: null, copied: run, config: run.config })),
      set: (key, value) => set(({ config }) => ({ config: withSetting(config, key, value) })),
      clear: () => set(NOTHING),
      dropForeign: (isKnown) =>
        set((draft) => (isBegun(draft) && !isKnown(draft.config) ? NOTHING : draft)),
    }),
    { name: DRAFT_KEY },
  ),
);

function begun(preset: Preset): Draft {
  return { preset: preset.name, copied: null, config: plain(preset.config) };
}

/** Whether there is something to go on with. */
export function isBegun({ preset, copied }: Pick<Draft, "preset" | "copied">): boolean {
  return preset !== null || (copied ?? null) !== null;
}

/** The draft put where it is found again when its method is. */
function setAside(draft: DraftState): Pick<DraftState, "others"> {
  const { preset, copied = null, config, others } = draft;
  const method = config["method"];
  return !isBegun(draft) || typeof method !== "string"
    ? { others }
    : { others: { ...others, [method]: { preset, copied, config } } };
}

/** Takes over what another window does to the draft: there is one, wherever it is looked at. */
export function followOtherWindows(): () => void {
  const hear = (event: StorageEvent) => {
    if (event.key === DRAFT_KEY) {
      void useDraft.persist.rehydrate();
    }
  };
  window.addEventListener("storage", hear);
  return () => window.removeEventListener("storage", hear);
}

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

/** A field's value in a config, which may leave it out; an empty one is null. */
export function valueIn(config: ConfigValues, field: Pick<FormField, "key" | "default">): Setting {
  const value = settingOf(config, field.key);
  return value === undefined ? field.default : value;
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
  source: Setting | undefined;
  draft: Setting | undefined;
}

/** The settings in which a draft differs from what it began with, by dotted key. */
export function differences(source: ConfigValues, draft: ConfigValues): Difference[] {
  const before = new Map(flatten(source));
  const after = new Map(flatten(draft));
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((key) => ({ key, source: before.get(key), draft: after.get(key) }))
    .filter((row) => JSON.stringify(row.source) !== JSON.stringify(row.draft));
}

function flatten(values: ConfigValues, prefix = ""): [string, Setting][] {
  return Object.entries(values).flatMap(([name, value]): [string, Setting][] =>
    isMapping(value) ? flatten(value, `${prefix}${name}.`) : [[`${prefix}${name}`, value]],
  );
}

/** Whether a value is settings by their names. */
export function isMapping(value: unknown): value is ConfigValues {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same run from a terminal: the preset, or a run's config, and what differs from it. */
export function asCommand(source: string, changed: readonly Difference[]): string {
  const parts = changed.map(({ key, draft }) => `--set ${quote(`${key}=${asYaml(draft)}`)}`);
  return [`opd train ${quote(source)}`, ...parts].join(" \\\n  ");
}

// What YAML would read as something else than the text that it is.
const PLAIN_TEXT = /^[A-Za-z./~][\w ./@+'-]*$/;
const NOT_TEXT = /^(~|null|true|false|yes|no|on|off|\.inf|\.nan)$/i;

/** A value as the command line reads it: YAML, of which JSON is a part. */
function asYaml(value: Setting | undefined): string {
  return typeof value === "string" && PLAIN_TEXT.test(value) && !NOT_TEXT.test(value)
    ? value
    : JSON.stringify(value ?? null);
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
