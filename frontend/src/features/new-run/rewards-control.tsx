import type { RewardSettings } from "@/api/types";
import type { ControlProps } from "@/components/field";
import { Input } from "@/components/input";
import { Switch } from "@/components/switch";
import type { Setting } from "@/features/new-run/draft";
import {
  changed,
  REWARD_LINES,
  type RewardLine,
  rewardsIn,
  toggled,
} from "@/features/new-run/rewards";

interface RewardsControlProps {
  control: ControlProps;
  value: Setting;
  onChange: (value: Setting) => void;
}

/** Ways to grade, each with a switch and, while it is used, its weight. */
export function RewardsControl({ control, value, onChange }: RewardsControlProps) {
  const rewards = rewardsIn(value);
  const set = (next: RewardSettings[]) => onChange(next as unknown as Setting);
  return (
    <fieldset id={control.id} aria-describedby={control["aria-describedby"]}>
      <ul className="flex flex-col gap-3">
        {REWARD_LINES.map((line) => (
          <Line
            key={line.kind}
            line={line}
            reward={rewards.find(({ kind }) => kind === line.kind)}
            onToggle={(isUsed) => set(toggled(rewards, line.kind, isUsed))}
            onChange={(change) => set(changed(rewards, line.kind, change))}
          />
        ))}
      </ul>
    </fieldset>
  );
}

interface LineProps {
  line: RewardLine;
  reward: RewardSettings | undefined;
  onToggle: (isUsed: boolean) => void;
  onChange: (change: Partial<RewardSettings>) => void;
}

function Line({ line, reward, onToggle, onChange }: LineProps) {
  return (
    <li className="flex flex-col gap-1">
      <div className="flex items-center gap-2">
        <Switch label={line.title} checked={reward !== undefined} onChange={onToggle} />
        <span className="font-medium">{line.title}</span>
        {reward ? (
          <Input
            type="number"
            step="any"
            aria-label={`Weight of ${line.title}`}
            className="ml-auto w-20"
            value={reward.weight ?? 1}
            onChange={(event) => onChange({ weight: event.target.valueAsNumber || 0 })}
          />
        ) : null}
      </div>
      <span className="text-sm text-muted">{line.about}</span>
      {reward?.kind === "python" ? (
        <Input
          aria-label="Python file"
          placeholder="path of a file.py"
          spellCheck={false}
          className="w-full"
          value={reward.file ?? ""}
          onChange={(event) => onChange({ file: event.target.value || null })}
        />
      ) : null}
    </li>
  );
}
