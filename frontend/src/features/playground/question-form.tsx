import clsx from "clsx";
import { Square } from "lucide-react";
import { useState } from "react";
import type { PlaygroundQuestion } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Input, TextArea } from "@/components/input";
import { Select } from "@/components/select";
import { messageOf } from "@/features/playground/attachments";
import { AddPictures, PictureTray } from "@/features/playground/picture-tray";
import { TakeProblem } from "@/features/playground/take-problem";
import { useAttachments } from "@/features/playground/use-attachments";

interface QuestionFormProps {
  runs: readonly { value: string; label: string }[];
  runId: string;
  /** The checkpoint that is asked where neither the best nor the last is meant. */
  step: number | null;
  onRun: (runId: string) => void;
  isAsking: boolean;
  isBlocked: boolean;
  ask: (question: PlaygroundQuestion) => void;
  stop: () => void;
}

/** What is asked, of which run, and how it is drawn; pictures are attached, dropped or pasted. */
export function QuestionForm({
  runs,
  runId,
  step,
  onRun,
  isAsking,
  isBlocked,
  ask,
  stop,
}: QuestionFormProps) {
  const [prompt, setPrompt] = useState("");
  const [temperature, setTemperature] = useState("0");
  const [maxTokens, setMaxTokens] = useState("256");
  const { pictures, refusal, add, takeLine, remove } = useAttachments();
  const [isOver, setOver] = useState(false);
  const [checkpoint, setCheckpoint] = useState<"best" | "last" | number>(step ?? "best");
  const isHot = !(Number(temperature) >= 0 && Number(temperature) <= 4) || temperature === "";
  const isLong = !(Number.isInteger(Number(maxTokens)) && Number(maxTokens) >= 1);
  const canAsk = !isBlocked && !isHot && !isLong && prompt.trim() !== "";
  function send() {
    if (!canAsk) {
      return;
    }
    ask({
      messages: [messageOf(prompt, pictures)],
      run_id: runId,
      checkpoint,
      sampling: {
        temperature: Number(temperature),
        max_tokens: Number(maxTokens),
        top_p: 1,
        top_k: 0,
        min_p: 0,
        seed: 0,
      },
    });
  }
  return (
    <Card>
      <form
        className={clsx("flex flex-col gap-2 rounded-md", isOver && "outline-2 outline-accent")}
        noValidate
        onDragOver={(event) => {
          if (event.dataTransfer.types.includes("Files")) {
            event.preventDefault();
            setOver(true);
          }
        }}
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
        <PictureTray pictures={pictures} refusal={refusal} onRemove={remove} />
        <TextArea
          aria-label="Prompt"
          placeholder="Ask something that your prompts would ask"
          rows={3}
          value={prompt}
          onChange={(event) => setPrompt(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
              send();
            }
          }}
        />
        <div className="flex flex-wrap items-center gap-2">
          <AddPictures onFiles={(files) => void add(files)} />
          <TakeProblem
            onTake={(setId, item) => {
              setPrompt(item.text);
              takeLine(setId, item);
            }}
          />
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
          <label htmlFor="temperature" className="flex items-center gap-2 text-muted">
            Temperature
            <Input
              id="temperature"
              aria-invalid={isHot}
              title={isHot ? "A number from 0 to 4" : undefined}
              type="number"
              min={0}
              max={4}
              step={0.1}
              value={temperature}
              onChange={(event) => setTemperature(event.target.value)}
              className="w-20"
            />
          </label>
          <label htmlFor="max-tokens" className="flex items-center gap-2 text-muted">
            Max tokens
            <Input
              id="max-tokens"
              aria-invalid={isLong}
              title={isLong ? "A whole number, 1 or more" : undefined}
              type="number"
              min={1}
              max={16_384}
              value={maxTokens}
              onChange={(event) => setMaxTokens(event.target.value)}
              className="w-24"
            />
          </label>
          <span className="ml-auto flex gap-2">
            {isAsking ? (
              <Button icon={<Square aria-hidden />} onClick={stop}>
                Stop
              </Button>
            ) : null}
            <Button type="submit" look="primary" busy={isAsking} disabled={!canAsk}>
              Ask
            </Button>
          </span>
        </div>
      </form>
    </Card>
  );
}
