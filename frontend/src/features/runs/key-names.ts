import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { metricCatalogue } from "@/api/metrics";
import { formFields } from "@/api/planning";
import type { FormField } from "@/api/types";

/** Says a key in words. */
export type KeyName = (key: string) => string;

/** What every run has beside its settings and metrics. */
const OF_EVERY_RUN: Readonly<Record<string, string>> = {
  name: "Name",
  state: "State",
  method: "Method",
  student: "Student",
  teacher: "Teacher",
  created: "Created",
  step: "Step",
  seed: "Seed",
  tag: "Tag",
};

/** A setting's or metric's title, where it is defined; of what nobody named the last word, as words. */
export function keyName(key: string, titles: ReadonlyMap<string, string>): string {
  const told = titles.get(key) ?? OF_EVERY_RUN[key];
  if (told) {
    return told;
  }
  const words = (key.split(".").at(-1) ?? key).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A filter such as `distillation.rank>4`, its key in words. */
export function filterText(filter: string, name: KeyName): string {
  const parts = /^([\w.]+)(!=|<=|>=|=|<|>|~)(.*)$/.exec(filter);
  return parts ? `${name(parts[1] ?? "")} ${parts[2]} ${parts[3]}` : filter;
}

/** Titles of all settings and metrics, by key. */
export function useKeyName(): KeyName {
  const metrics = useQuery(metricCatalogue()).data;
  const fields = useQuery(formFields()).data;
  const titles = new Map([
    ...[...(metrics ?? [])].map(([key, { title }]): [string, string] => [key, title]),
    ...(fields ?? []).map(({ key, title }): [string, string] => [key, title]),
  ]);
  return (key) => keyName(key, titles);
}

/** Words that are spelled as keys are; others too where they stand in backquotes. */
const KEY = /`([a-z][a-z0-9_.]*)`|(?<![\w./-])([a-z][a-z0-9.]*(?:_[a-z0-9]+)+)(?![\w/-])/g;

/** A sentence that spells keys as files do, with the titles that one sees on the screen. */
export function keysInWords(text: string, titles: ReadonlyMap<string, string>): string {
  return text.replace(KEY, (found, quoted?: string, plain?: string) => {
    const title = titles.get(nameOf(quoted ?? plain ?? found));
    return title === undefined ? found : `\u201c${title}\u201d`;
  });
}

/** Titles of settings by the last word of their keys. */
export function titlesOf(fields: readonly FormField[]): ReadonlyMap<string, string> {
  const all = fields.flatMap((field) => [field, ...field.parts]);
  return new Map(all.map(({ key, title }) => [nameOf(key), title]));
}

/** Says sentences of the log in the words of the screen. */
export function useKeysInWords(): (text: string | null | undefined) => string {
  const fields = useQuery(formFields()).data;
  const titles = useMemo(() => titlesOf(fields ?? []), [fields]);
  return (text) => keysInWords(text ?? "", titles);
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}
