import { type ReactNode, useState } from "react";
import { TextArea } from "@/components/input";
import { Switch } from "@/components/switch";
import type { SamplingText } from "@/features/playground/sampling";
import { SamplingFields } from "@/features/playground/sampling-fields";
import { TallyBar } from "@/features/playground/tally-bar";

/** What holds for every question until it is changed. */
export interface AskSettings {
  system: string;
  sampling: SamplingText;
  isBlind: boolean;
}

interface AskSettingsPanelProps {
  runId: string;
  settings: AskSettings;
  onChange: (settings: AskSettings) => void;
  hasTeacher: boolean;
}

/** Beside the conversation: the system prompt, how answers are drawn, and whether names are shown. */
export function AskSettingsPanel(props: AskSettingsPanelProps) {
  const { runId, settings, onChange, hasTeacher } = props;
  // Folded until there is one; what is typed here folds nothing open or shut under the hand.
  const [isOpen] = useState(settings.system !== "");
  return (
    <aside
      aria-label="How to ask"
      className="flex w-64 shrink-0 flex-col gap-5 overflow-y-auto border-l p-3"
    >
      <details open={isOpen}>
        <summary className="cursor-default font-medium">System prompt</summary>
        <TextArea
          aria-label="System prompt"
          placeholder="None"
          rows={3}
          value={settings.system}
          onChange={(event) => onChange({ ...settings, system: event.target.value })}
          className="field-sizing-content mt-1 max-h-60 w-full resize-none"
        />
        <Help>Every model reads it first, through its chat template.</Help>
      </details>
      <div className="flex flex-col gap-1">
        <SamplingFields
          text={settings.sampling}
          onChange={(sampling) => onChange({ ...settings, sampling })}
        />
        <Help>The same for every model.</Help>
      </div>
      {hasTeacher ? (
        <div className="flex flex-col gap-2">
          <span className="flex items-center justify-between gap-2 font-medium">
            <span aria-hidden>Blind vote</span>
            <Switch
              label="Blind vote"
              checked={settings.isBlind}
              onChange={(isBlind) => onChange({ ...settings, isBlind })}
            />
          </span>
          <Help>Student and teacher answer without their names; you say which is the teacher.</Help>
          <TallyBar runId={runId} />
        </div>
      ) : null}
    </aside>
  );
}

function Help({ children }: { children: ReactNode }) {
  return <span className="text-sm text-muted">{children}</span>;
}
