import { useQuery } from "@tanstack/react-query";
import { checkedConfig, formFields, runCheck } from "@/api/planning";
import { ApiError } from "@/api/problem";
import type { CheckReport, FormField } from "@/api/types";
import { useDraft } from "@/features/new-run/draft";
import { useRested } from "@/features/new-run/use-rested";

/** What is wrong with each setting, by dotted key; an entry of a list belongs to its list. */
export function errorsByField(error: unknown): ReadonlyMap<string, string> {
  const problems = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  return new Map(
    problems.map(({ location, message }) => [location.replace(/(\.\d+)+$/, ""), message]),
  );
}

/** Whether settings are wrong, which are said by themselves. */
export function isWrongConfig(error: unknown): boolean {
  return errorsByField(error).size > 0;
}

const LEAKED = "leaked";

/** What the check says against a setting; a finding may name several. */
export function findingAgainst(report: CheckReport | undefined, key: string): string | undefined {
  const finding = report?.findings.find(
    ({ field, severity }) => severity === "error" && field.split(", ").includes(key),
  );
  return finding && `${finding.message} ${fixOf(finding)}`.trim();
}

/** What to do about a finding; commands against a leak are for terminals, here a click does it. */
export function fixOf({ code, fix }: CheckReport["findings"][number]): string {
  return code === LEAKED ? "" : fix;
}

/** The backend's words against one setting: about the value, or about what it names. */
export function useFieldError(key: string): string | undefined {
  const config = useDraft((draft) => draft.config);
  const { error } = useQuery(checkedConfig(config));
  const check = useCheck();
  return errorsByField(error).get(key) ?? (error ? undefined : findingAgainst(check.data, key));
}

/** Everything that can be known of the draft before it runs, once typing has rested. */
export function useCheck() {
  return useQuery(runCheck(useRested(useDraft((draft) => draft.config))));
}

/** What is wrong with the draft as a whole, such as two settings that exclude each other. */
export function useHomelessErrors(): readonly string[] {
  const config = useDraft((draft) => draft.config);
  const { error } = useQuery(checkedConfig(config));
  const fields = useQuery(formFields()).data ?? [];
  return [...errorsByField(error)].flatMap(([key, message]) =>
    hasPlace(key, fields) ? [] : [message],
  );
}

/** Whether a form shows the setting that a key is of: by itself, or in an entry of a list. */
export function hasPlace(key: string, fields: readonly FormField[]): boolean {
  return fields.some(
    (field) => field.key === key || (field.parts.length > 0 && key.startsWith(`${field.key}.`)),
  );
}
