import clsx from "clsx";
import { Square } from "lucide-react";
import { type DragEvent, useState } from "react";
import type { AskedMessage, PlaygroundQuestion } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { TextArea } from "@/components/input";
import { Select } from "@/components/select";
import { Switch } from "@/components/switch";
import { messageOf } from "@/features/playground/attachments";
import { type Chat, messagesOf } from "@/features/playground/chat";
import { Conversation } from "@/features/playground/conversation";
import { KeepDialog } from "@/features/playground/keep-dialog";
import { AddPictures, PictureTray } from "@/features/playground/picture-tray";
import { Samples } from "@/features/playground/samples";
import {
  SAMPLING_FIELDS,
  samplingOf,
  USUAL_SAMPLING,
  wrongIn,
} from "@/features/playground/sampling";
import { SamplingFields } from "@/features/playground/sampling-fields";
import { TakeProblem } from "@/features/playground/take-problem";
import { useAttachments } from "@/features/playground/use-attachments";

/** A question as it is asked: the last message, and how to ask it. */
export interface Asked extends Pick<PlaygroundQuestion, "checkpoint" | "sampling"> {
  question: AskedMessage;
  isBlind: boolean;
}

interface QuestionFormProps {
  runs: readonly { value: string; label: string }[];
  runId: string;
  /** The checkpoint that is asked where neither the best nor the last is meant. */
  step: number | null;
  onRun: (runId: string) => void;
  prompt: string;
  onPrompt: (prompt: string) => void;
  chat: Chat;
  onChat: (chat: Chat) => void;
  isAsking: boolean;
  isBlocked: boolean;
  hasTeacher: boolean;
  ask: (asked: Asked) => void;
  stop: () => void;
}

/** What is asked, of which run, and how it is drawn; pictures are attached, dropped or pasted. */
export function QuestionForm(props: QuestionFormProps) {
  const {
    runs,
    runId,
    step,
    onRun,
    prompt,
    onPrompt,
    chat,
    onChat,
    isAsking,
    isBlocked,
    hasTeacher,
    ask,
  } = props;
  const [sampling, setSampling] = useState(USUAL_SAMPLING);
  const [isBlind, setBlind] = useState(false);
  const [isKeeping, setKeeping] = useState(false);
  const { pictures, refusal, add, takeLine, remove } = useAttachments();
  const [isOver, setOver] = useState(false);
  const [checkpoint, setCheckpoint] = useState<"best" | "last" | number>(step ?? "best");
  const isWrong = SAMPLING_FIELDS.some((field) => wrongIn(field, sampling) !== "");
  const canAsk = !isBlocked && !isWrong && prompt.trim() !== "";
  const question = messageOf(prompt, pictures);
  function send() {
    if (canAsk) {
      ask({
        question,
        checkpoint,
        sampling: samplingOf(sampling),
        isBlind: isBlind && hasTeacher,
      });
    }
  }
  return (
    <Card>
      <form
        className={clsx("flex flex-col gap-2 rounded-md", isOver && "outline-2 outline-accent")}
        noValidate
        onDragOver={(event) => setOver(takesFiles(event))}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void add([...event.dataTransfer.files]);
        }}
        onPaste={(event) => {
          const files = [...event.clipboardData.files];
          if (files.length > 0) {
            event.preventDefault();
            void add(files);
          }
        }}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <Conversation chat={chat} onChat={onChat} />
        <PictureTray pictures={pictures} refusal={refusal} onRemove={remove} />
        <TextArea
          aria-label="Prompt"
          placeholder="Ask something that your prompts would ask"
          rows={3}
          value={prompt}
          onChange={(event) => onPrompt(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
              send();
            }
          }}
        />
        <Samples runId={runId} onTake={({ text }) => onPrompt(text)} />
        <div className="flex flex-wrap items-center gap-2">
          <Select
            label="Run"
            value={runId}
            choices={runs}
            onChange={onRun}
            className="max-w-64 grow basis-40"
          />
          <Select
            label="Checkpoint"
            value={String(checkpoint)}
            choices={[
              ...(step === null
                ? []
                : [{ value: String(step), label: `Checkpoint of step ${step}` }]),
              { value: "best", label: "Best checkpoint" },
              { value: "last", label: "Last checkpoint" },
            ]}
            onChange={(value) =>
              setCheckpoint(value === "last" || value === "best" ? value : Number(value))
            }
          />
          <SamplingFields text={sampling} onChange={setSampling} />
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <AddPictures onFiles={(files) => void add(files)} />
          <TakeProblem
            onTake={(setId, item) => {
              onPrompt(item.text);
              takeLine(setId, item);
            }}
          />
          <Button disabled={prompt.trim() === ""} onClick={() => setKeeping(true)}>
            Keep as a prompt
          </Button>
          {hasTeacher ? (
            <span className="flex items-center gap-2" title="Which answer is the teacher’s?">
              <Switch label="Blind vote" checked={isBlind} onChange={setBlind} />
              <span aria-hidden>Blind vote</span>
            </span>
          ) : null}
          <span className="ml-auto flex gap-2">
            {isAsking ? (
              <Button icon={<Square aria-hidden />} onClick={props.stop}>
                Stop
              </Button>
            ) : null}
            <Button type="submit" look="primary" busy={isAsking} disabled={!canAsk}>
              Send
            </Button>
          </span>
        </div>
      </form>
      <KeepDialog
        messages={messagesOf(chat, question)}
        open={isKeeping}
        onOpenChange={setKeeping}
      />
    </Card>
  );
}

function takesFiles(event: DragEvent): boolean {
  const takes = event.dataTransfer.types.includes("Files");
  if (takes) {
    event.preventDefault();
  }
  return takes;
}
