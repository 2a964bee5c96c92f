import clsx from "clsx";
import { SendHorizontal, Square } from "lucide-react";
import type { DragEvent, RefObject } from "react";
import { useState } from "react";
import { Button } from "@/components/button";
import { TextArea } from "@/components/input";
import type { Role } from "@/features/playground/exchange";
import { AddPictures, PictureTray } from "@/features/playground/picture-tray";
import { SampleStrip } from "@/features/playground/samples";
import { TakeProblem } from "@/features/playground/take-problem";
import type { Attachments } from "@/features/playground/use-attachments";

interface ComposerProps {
  runId: string;
  prompt: string;
  onPrompt: (prompt: string) => void;
  attachments: Attachments;
  input: RefObject<HTMLTextAreaElement | null>;
  /** Whose answer the message goes on from; null where it starts afresh. */
  follows: Role | null;
  onAfresh: () => void;
  /** Prompts of the run above the field, where the page does not offer them already. */
  hasSamples: boolean;
  /** Why nothing can be sent; empty where it can. */
  hindrance: string;
  isAsking: boolean;
  onSend: () => void;
  onStop: () => void;
}

/** The next message, at the foot of the conversation; pictures are picked, dropped or pasted. */
export function Composer(props: ComposerProps) {
  const { runId, prompt, onPrompt, attachments, follows, hindrance, isAsking, onSend } = props;
  const [isOver, setOver] = useState(false);
  const canSend = hindrance === "" && !isAsking && prompt.trim() !== "";
  const send = () => {
    if (canSend) {
      onSend();
    }
  };
  return (
    <form
      aria-label="Message"
      className={clsx(
        "flex shrink-0 flex-col gap-2 border-t bg-page px-4 py-3",
        isOver && "outline-2 -outline-offset-2 outline-accent",
      )}
      noValidate
      onDragOver={(event) => setOver(takesFiles(event))}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void attachments.add([...event.dataTransfer.files]);
      }}
      onPaste={(event) => {
        const files = [...event.clipboardData.files];
        if (files.length > 0) {
          event.preventDefault();
          void attachments.add(files);
        }
      }}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {props.hasSamples ? (
        <SampleStrip runId={runId} onTake={({ text }) => onPrompt(text)} />
      ) : null}
      <div className="flex flex-col gap-1 rounded-lg border border-line-strong bg-sunken p-1.5 focus-within:border-accent focus-within:outline-1 focus-within:outline-accent">
        <PictureTray {...attachments} onRemove={attachments.remove} />
        <TextArea
          ref={props.input}
          aria-label="Prompt"
          placeholder={
            follows
              ? "Go on from the answer you chose"
              : "Ask something that your prompts would ask"
          }
          rows={1}
          value={prompt}
          onChange={(event) => onPrompt(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault();
              send();
            }
          }}
          className="field-sizing-content max-h-48 min-h-8 resize-none border-transparent outline-none hover:border-transparent"
        />
        <div className="flex flex-wrap items-center gap-1">
          <AddPictures onFiles={(files) => void attachments.add(files)} />
          <TakeProblem
            onTake={(setId, item) => {
              onPrompt(item.text);
              attachments.takeLine(setId, item);
            }}
          />
          <Manners {...props} />
          <span className="ml-auto flex gap-2">
            {isAsking ? (
              <Button icon={<Square aria-hidden />} onClick={props.onStop}>
                Stop
              </Button>
            ) : null}
            <Button
              type="submit"
              look="primary"
              icon={<SendHorizontal aria-hidden />}
              busy={isAsking}
              disabled={!canSend}
              title={hindrance || undefined}
            >
              Send
            </Button>
          </span>
        </div>
      </div>
    </form>
  );
}

/** What a message is read after, or what is in its way. */
function Manners({ follows, onAfresh, hindrance }: ComposerProps) {
  if (hindrance) {
    return <span className="px-1 text-sm text-warn">{hindrance}</span>;
  }
  if (follows) {
    return (
      <span className="flex items-center gap-1 px-1 text-sm text-muted" role="status">
        Read after the {follows === "base" ? "base model" : follows}’s answer
        <Button size="sm" look="quiet" onClick={onAfresh}>
          Start afresh
        </Button>
      </span>
    );
  }
  return (
    <span className="px-1 text-sm text-faint">
      Read alone<span className="hidden xl:inline">: nothing above goes with it</span>. Enter sends
      <span className="hidden xl:inline">, Shift+Enter starts a line</span>.
    </span>
  );
}

function takesFiles(event: DragEvent): boolean {
  const takes = event.dataTransfer.types.includes("Files");
  if (takes) {
    event.preventDefault();
  }
  return takes;
}
