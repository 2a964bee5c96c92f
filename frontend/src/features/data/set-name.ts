import type { PromptSet } from "@/api/types";

/** A set's name, with its folder where another set of the list has the same name. */
export function setName(set: PromptSet, all: readonly PromptSet[]): string {
  const isShared = all.some((other) => other.id !== set.id && other.name === set.name);
  const folder = set.path.split(/[\\/]/).at(-2);
  return isShared && folder ? `${folder}/${set.name}` : set.name;
}
