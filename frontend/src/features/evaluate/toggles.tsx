import { Switch } from "@/components/switch";
import type { EvaluationPlan } from "@/features/evaluate/plan";

interface TogglesProps {
  plan: EvaluationPlan;
  onPlan: (plan: EvaluationPlan) => void;
}

/** What else to ask: without the adapter, without the prompt. */
export function Toggles({ plan, onPlan }: TogglesProps) {
  if (!plan.adapter && !plan.prompt) {
    return null;
  }
  return (
    <div className="flex flex-wrap gap-x-6 gap-y-2">
      {plan.adapter ? (
        <Toggle
          label="Also without the adapter"
          checked={plan.withBase}
          onChange={(withBase) => onPlan({ ...plan, withBase })}
        />
      ) : null}
      {plan.adapter && plan.checkpoints.length > 1 ? (
        <Toggle
          label={`Every checkpoint (${plan.checkpoints.length})`}
          checked={plan.everyCheckpoint}
          onChange={(everyCheckpoint) => onPlan({ ...plan, everyCheckpoint })}
        />
      ) : null}
      {plan.prompt ? (
        <Toggle
          label="Also without the prompt"
          checked={plan.withoutPrompt}
          onChange={(withoutPrompt) => onPlan({ ...plan, withoutPrompt })}
        />
      ) : null}
    </div>
  );
}

interface ToggleProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

function Toggle({ label, checked, onChange }: ToggleProps) {
  return (
    <div className="flex items-center gap-2">
      <Switch label={label} checked={checked} onChange={onChange} />
      <span aria-hidden>{label}</span>
    </div>
  );
}
