import { useQuery } from "@tanstack/react-query";
import { checkedConfig, formFields, runCheck, runPlan } from "@/api/planning";
import type { CheckReport, FormField, Plan } from "@/api/types";
import { isBegun, useDraft } from "@/features/new-run/draft";
import { errorsByField, fixOf } from "@/features/new-run/field-errors";
import { STEPS, type StepId } from "@/features/new-run/steps";
import { useRested } from "@/features/new-run/use-rested";

export type StepState = "open" | "done" | "warning" | "error";

/** Something that is wrong or odd with the draft: on which step, and the setting to go to. */
export interface Problem {
  step: StepId;
  field: string | null;
  severity: "error" | "warning";
  message: string;
  fix: string;
}

const STEP_OF_GROUP: Partial<Record<FormField["group"], StepId>> = {
  models: "models",
  data: "data",
};
/** What the check calls the room on the disk. */
const WORKSPACE = "workspace";

/** The setting that a dotted key is about: itself, the one it is a part of, or the first within it. */
export function settingNear(key: string, fields: readonly FormField[]): FormField | undefined {
  return (
    fields.find((field) => field.key === key || key.startsWith(`${field.key}.`)) ??
    fields.find((field) => field.key.startsWith(`${key}.`) && key.includes("."))
  );
}

function placed(key: string, fields: readonly FormField[]): Pick<Problem, "step" | "field"> {
  if (key === WORKSPACE) {
    return { step: "budget", field: null };
  }
  const field = settingNear(key, fields);
  return {
    step: (field && STEP_OF_GROUP[field.group]) ?? "objective",
    // A setting of an entry of a list is gone to by itself.
    field: field && field.parts.length > 0 ? key : (field?.key ?? null),
  };
}

/** What is wrong with single settings, by the backend's reading of the config. */
export function problemsOfConfig(error: unknown, fields: readonly FormField[]): Problem[] {
  return [...errorsByField(error)].map(([key, message]) => ({
    ...placed(key, fields),
    severity: "error" as const,
    message: asSentence(key, message, fields),
    fix: "",
  }));
}

/** The backend's words against a setting where they stand alone: what they are about in front. */
function asSentence(key: string, words: string, fields: readonly FormField[]): string {
  const title = titleOf(key, fields);
  const said = title ? `${title}: ${words}` : `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
  return /[.!?]$/.test(said) ? said : `${said}.`;
}

function titleOf(key: string, fields: readonly FormField[]): string | undefined {
  const field = settingNear(key, fields);
  if (!field || key.length < field.key.length) {
    return undefined;
  }
  const within = key.slice(field.key.length).replace(/^\.\d+/, "");
  const part = field.parts.find((each) => within !== "" && each.key === `${field.key}${within}`);
  return part ? `${field.title}, ${part.title}` : field.title;
}

/** What the check found in models and files, and on the disk. */
export function problemsOfCheck(
  report: Pick<CheckReport, "findings">,
  fields: readonly FormField[],
): Problem[] {
  return report.findings.map((finding) => ({
    // A finding that names several settings is gone to at the first of them.
    ...placed(finding.field.split(", ")[0] ?? "", fields),
    severity: finding.severity,
    message: finding.message,
    fix: fixOf(finding),
  }));
}

/** What the forecast says against a run. */
export function problemsOfPlan(plan: Pick<Plan, "verdict" | "needed_gb" | "limit_gb">): Problem[] {
  if (plan.verdict === "fits") {
    return [];
  }
  const needs = `${plan.needed_gb.toFixed(1)} of the ${plan.limit_gb.toFixed(1)} GB that a run may use`;
  const at = { step: "budget" as const, field: null };
  return plan.verdict === "tight"
    ? [{ ...at, severity: "warning", message: `It is tight: it needs ${needs}.`, fix: "" }]
    : [
        {
          ...at,
          severity: "error",
          message: `It does not fit: it needs ${needs}.`,
          fix: "The Budget step proposes what to change.",
        },
      ];
}

/** The mark of each step; nothing is done before it has been checked. */
export function statesOf(
  problems: readonly Problem[],
  isChecked: boolean,
): Readonly<Record<StepId, StepState>> {
  const of = (step: StepId): StepState => {
    const own = problems.filter((problem) => problem.step === step);
    if (own.some(({ severity }) => severity === "error")) {
      return "error";
    }
    return own.length > 0 ? "warning" : isChecked && step !== "review" ? "done" : "open";
  };
  return Object.fromEntries(STEPS.map(({ id }) => [id, of(id)])) as Record<StepId, StepState>;
}

/** Everything that is known against the draft, once typing has rested. */
export function useProblems(): { problems: readonly Problem[]; isChecked: boolean } {
  const enabled = useDraft(isBegun);
  const config = useRested(useDraft((draft) => draft.config));
  const fields = useQuery(formFields()).data ?? [];
  const checked = useQuery({ ...checkedConfig(config), enabled });
  const check = useQuery({ ...runCheck(config), enabled });
  const plan = useQuery({ ...runPlan(config, null), enabled });
  const wrong = problemsOfConfig(checked.error, fields);
  if (wrong.length > 0) {
    // Nothing else can be said of a config that is none.
    return { problems: wrong, isChecked: false };
  }
  const found = check.data && !check.error ? problemsOfCheck(check.data, fields) : [];
  const forecast = plan.data && !plan.error ? problemsOfPlan(plan.data) : [];
  return { problems: [...found, ...forecast], isChecked: check.isSuccess && enabled };
}
