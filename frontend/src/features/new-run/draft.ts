import { create } from "zustand";
import { persist } from "zustand/middleware";
import type { ConfigValues, FormField, Preset } from "@/api/types";

export type Setting = ConfigValues[string];

interface Draft {
  preset: string | null;
  config: ConfigValues;
}

const DRAFT_KEY = "opd.draft";

interface DraftState extends Draft {
  /** Drafts of the methods that are not chosen now, as they were left. */
  others: Readonly<Record<string, Draft>>;
  take: (preset: Preset) => void;
  /** Goes on with what was planned of a preset's method, else with the preset. */
  turnTo: (preset: Preset) => void;
  set: (key: string, value: Setting) => void;
  clear: () => void;
}

/** The run being planned; kept in this browser until it is started or another preset is taken. */
export const useDraft = create<DraftState>()(
  persist(
    (set) => ({
      preset: null,
      config: {},
      others: {},
      take: (preset) => set((draft) => ({ ...setAside(draft), ...begun(preset) })),
      turnTo: (preset) =>
        set((draft) =>
          draft.config["method"] === preset.config.method
            ? draft
            : { ...setAside(draft), ...(draft.others[preset.config.method] ?? begun(preset)) },
        ),
      set: (key, value) => set(({ config }) => ({ config: withSetting(config, key, value) })),
      clear: () => set({ preset: null, config: {} }),
    }),
    { name: DRAFT_KEY },
  ),
);

function begun(preset: Preset): Draft {
  return { preset: preset.name, config: plain(preset.config) };
}

/** The draft put where it is found again when its method is. */
function setAside({ preset, config, others }: DraftState): Pick<DraftState, "others"> {
  const method = config["method"];
  return preset === null || typeof method !== "string"
    ? { others }
    : { others: { ...others, [method]: { preset, config } } };
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
  const parts = changed.map(({ key, draft }) => `--set ${quote(`${key}=${asYaml(draft)}`)}`);
  return [`opd train ${preset}`, ...parts].join(" \\\n  ");
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
