import type { ConfigValues, FormField } from "@/api/types";
import { type Setting, withSetting } from "@/features/new-run/draft";
import { parseSetting, wordsOf } from "@/features/new-run/setting-text";

/** As many as can be compared side by side. */
export const MOST_RUNS = 8;
const VARIED: ReadonlySet<FormField["kind"]> = new Set([
  "integer",
  "number",
  "boolean",
  "choice",
  "model",
]);
const MAX_NAME = 120;

/** One of several runs that differ in one setting. */
export interface Variant {
  value: Setting;
  name: string;
}

/** Settings that it makes sense to vary. */
export function variedFields(fields: readonly FormField[]): FormField[] {
  return fields.filter((field) => VARIED.has(field.kind));
}

/** The setting as it is called in a tag: without the method's block. */
export function nameOfSetting(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}

/**
 * The runs that typed values make, each named by its value; what is wrong with them instead, if
 * something is.
 */
export function variantsOf(
  field: FormField,
  text: string,
  name: string,
): { variants: Variant[]; mistake?: string } {
  const parts = text.split(",").map((part) => part.trim());
  const typed = parts.filter(Boolean);
  const values: Setting[] = [];
  for (const part of typed) {
    const { value, mistake } = readValue(field, part);
    if (mistake) {
      return { variants: [], mistake: `${part}: ${mistake}` };
    }
    if (!values.includes(value)) {
      values.push(value);
    }
  }
  if (values.length > MOST_RUNS) {
    return { variants: [], mistake: `At most ${MOST_RUNS}, so that all can be compared.` };
  }
  const variants = values.map((value) => ({ value, name: named(name, field.title, value) }));
  return typed.length < 2 || variants.length < 2
    ? { variants: [], mistake: "Type two or more different values, with commas between them." }
    : { variants };
}

/** A config with one value in the place of the draft's. */
export function configOf(config: ConfigValues, key: string, { value }: Variant): ConfigValues {
  return withSetting(config, key, value);
}

/** One word that all runs of a sweep have, to find them by. */
export function tagOf(key: string, now: Date): string {
  const at = now.toISOString().slice(0, 16).replace("T", "-").replace(":", "");
  return `${nameOfSetting(key)}-${at}`.slice(0, 40);
}

function readValue(field: FormField, part: string): { value: Setting; mistake?: string } {
  if (field.kind === "boolean") {
    return part === "true" || part === "false"
      ? { value: part === "true" }
      : { value: part, mistake: "Type true or false." };
  }
  if (field.kind === "choice" && !(field.choices ?? []).includes(part)) {
    return { value: part, mistake: `One of ${(field.choices ?? []).join(", ")}.` };
  }
  return parseSetting(field, part);
}

function named(name: string, title: string, value: Setting): string {
  const end = `: ${title} ${wordsOf(value)}`.slice(-60);
  return `${name.slice(0, MAX_NAME - end.length)}${end}`.trim();
}
