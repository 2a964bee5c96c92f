import { useSuspenseQuery } from "@tanstack/react-query";
import { runKinds } from "@/api/methods";
import type { ConfigValues, FormField, KindFacts, Preset, RunKind } from "@/api/types";
import { useDraft } from "@/features/new-run/draft";

export type MethodId = Exclude<RunKind, "evaluation">;

export interface Method extends KindFacts {
  name: MethodId;
}

/** The run kinds that train, in the library's order. */
export function methodsOf(kinds: readonly KindFacts[]): Method[] {
  return kinds.filter((kind): kind is Method => kind.name !== "evaluation");
}

/** Every method; the page's route has fetched them before it is shown. */
export function useMethods(): Method[] {
  return methodsOf(useSuspenseQuery(runKinds()).data);
}

/** The method of the draft. */
export function useMethod(): Method {
  const methods = useMethods();
  return methodOf(
    methods,
    useDraft((draft) => draft.config),
  );
}

/** The method of a draft; one that is not begun yet, or not for this program, is of the first. */
export function methodOf(methods: readonly Method[], config: ConfigValues): Method {
  const found = methods.find((method) => isOf(method, config)) ?? methods[0];
  if (!found) {
    throw new Error("The program has no methods.");
  }
  return found;
}

/** Whether a draft is of the method. */
export function isOf(method: Method, config: ConfigValues): boolean {
  return method.name === config["method"];
}

/** A method's presets; a demonstration, which needs no download, comes first. */
export function presetsOf(method: MethodId, presets: readonly Preset[]): Preset[] {
  const isDemo = (preset: Preset) => /(^|\/)demo$/.test(preset.name);
  return presets
    .filter((preset) => preset.config.method === method)
    .sort((a, b) => Number(isDemo(b)) - Number(isDemo(a)));
}

/** The settings that belong to a method, without those that leave no choice. */
export function fieldsOf(method: Method, fields: readonly FormField[]): FormField[] {
  return fields.filter(
    (field) => field.key.startsWith(`${method.block}.`) && field.choices?.length !== 1,
  );
}
