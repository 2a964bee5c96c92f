import { useRef, useState } from "react";
import type { RunSummary } from "@/api/types";
import { type AskSettings, AskSettingsPanel } from "@/features/playground/ask-settings";
import { Blocked } from "@/features/playground/blocked";
import { Composer } from "@/features/playground/composer";
import { RoundView } from "@/features/playground/round-view";
import type { Asked, Round } from "@/features/playground/rounds";
import { SampleCards } from "@/features/playground/samples";
import {
  redrawn,
  SAMPLING_FIELDS,
  samplingOf,
  USUAL_SAMPLING,
  wrongIn,
} from "@/features/playground/sampling";
import { TalkHeader } from "@/features/playground/talk-header";
import { useAttachments } from "@/features/playground/use-attachments";
import { usePlayground } from "@/features/playground/use-playground";
import { type Manner, useTalk } from "@/features/playground/use-talk";
import { rolesOf, VoiceTitle } from "@/features/playground/voices";

interface TalkPageProps {
  run: RunSummary;
  runs: readonly RunSummary[];
  /** The checkpoint that is asked where neither the best nor the last is meant. */
  step: number | null;
  onRun: (runId: string) => void;
}

const FRESH: AskSettings = { system: "", sampling: USUAL_SAMPLING, isBlind: false };
/** On smaller windows the answers need the room that the settings take. */
const ROOM_FOR_SETTINGS_PX = 1200;

/** A conversation with a run's models: rounds above, the next message at the foot, settings beside. */
export function TalkPage({ run, runs, step, onRun }: TalkPageProps) {
  const talk = useTalk(run.run_id);
  const attachments = useAttachments();
  const input = useRef<HTMLTextAreaElement>(null);
  const [prompt, setPrompt] = useState("");
  const [settings, setSettings] = useState(FRESH);
  const [checkpoint, setCheckpoint] = useState<Asked>(step ?? "best");
  const [isOpen, setOpen] = useState(() => window.innerWidth >= ROOM_FOR_SETTINGS_PX);
  const { isBlocked, reason, memoryGb, isWarm } = usePlayground();
  const isWrong = SAMPLING_FIELDS.some((field) => wrongIn(field, settings.sampling) !== "");
  const hindrance = isBlocked ? "A run has the GPU" : isWrong ? "A setting is out of range" : "";
  const mannerOf = ({ system, sampling, isBlind }: AskSettings): Manner => ({
    checkpoint,
    system,
    sampling: samplingOf(sampling),
    isBlind: isBlind && run.teacher !== null,
  });
  function write(words: string) {
    setPrompt(words);
    input.current?.focus();
  }
  function send() {
    talk.ask(prompt, attachments.pictures, mannerOf(settings));
    setPrompt("");
    attachments.put([]);
  }
  function askAgain() {
    const next = { ...settings, sampling: redrawn(settings.sampling) };
    setSettings(next);
    talk.askAgain(mannerOf(next));
  }
  function edit({ question, pictures }: Round) {
    attachments.put(pictures);
    write(question.content);
  }
  const last = talk.rounds.at(-1);
  const actions = {
    onAgain: talk.isAsking || hindrance ? null : askAgain,
    onGuess: talk.guess,
    onFollow: talk.follow,
  };
  return (
    <div className="flex h-full flex-col">
      <TalkHeader
        run={run}
        runs={runs}
        onRun={onRun}
        step={step}
        checkpoint={checkpoint}
        onCheckpoint={setCheckpoint}
        memoryGb={memoryGb}
        canUnload={isWarm && !talk.isAsking}
        onNewChat={last ? talk.clear : null}
        isOpen={isOpen}
        onOpen={setOpen}
      />
      <div className="flex min-h-0 grow border-t">
        <div className="flex min-w-0 grow flex-col">
          <section
            aria-label="Conversation"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
            tabIndex={0}
            className="flex min-h-0 grow flex-col gap-6 overflow-y-auto px-4 py-3"
          >
            {isBlocked ? <Blocked reason={reason} /> : null}
            {talk.rounds.map((round) => (
              <RoundView
                key={round.number}
                run={run}
                round={round}
                system={settings.system}
                isAsking={talk.isAsking && round === last}
                actions={round === last ? actions : null}
                onEdit={() => edit(round)}
              />
            ))}
            {last ? null : <Opening run={run} onTake={write} />}
          </section>
          <Composer
            runId={run.run_id}
            prompt={prompt}
            onPrompt={setPrompt}
            attachments={attachments}
            input={input}
            follows={last?.follows ?? null}
            onAfresh={() => talk.follow(null)}
            hasSamples={last !== undefined}
            hindrance={hindrance}
            isAsking={talk.isAsking}
            onSend={send}
            onStop={talk.stop}
          />
        </div>
        {isOpen ? (
          <AskSettingsPanel
            runId={run.run_id}
            settings={settings}
            onChange={setSettings}
            hasTeacher={run.teacher !== null}
          />
        ) : null}
      </div>
    </div>
  );
}

/** Before the first question: who will answer, and what could be asked. */
function Opening({ run, onTake }: { run: RunSummary; onTake: (words: string) => void }) {
  return (
    <div className="flex grow flex-col items-center justify-center gap-5 py-4">
      <div className="flex flex-col items-center gap-2 text-center">
        <h2 className="text-lg font-medium">One question, every model of the run</h2>
        <p className="max-w-xl text-muted">
          They read the same and draw with the same seed; the teacher grades each of the student’s
          tokens.
        </p>
        <ul className="flex flex-wrap justify-center gap-x-5 gap-y-1">
          {rolesOf(run).map(({ role }) => (
            <li key={role}>
              <VoiceTitle role={role} run={run} />
            </li>
          ))}
        </ul>
      </div>
      <SampleCards runId={run.run_id} onTake={({ text }) => onTake(text)} />
    </div>
  );
}
