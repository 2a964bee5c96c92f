import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Square } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { askPlayground, playgroundState, unloadPlayground } from "@/api/playground";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { runPage } from "@/api/runs";
import type { PlaygroundQuestion } from "@/api/types";
import { useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { Card } from "@/components/card";
import { formatNumber } from "@/components/format";
import { Input, TextArea } from "@/components/input";
import { PageHeader } from "@/components/page-header";
import { Select } from "@/components/select";
import { EmptyState, Notice } from "@/components/states";
import { EMPTY_EXCHANGE, type Exchange, foldPlayground } from "@/features/playground/exchange";
import { Voices } from "@/features/playground/voices";
import { showError } from "@/features/runs/run-actions";

/** Base, student and teacher on the same prompt with the same seed. */
export function PlaygroundPage() {
  const { run: chosen } = useSearch({ from: "/playground" });
  const navigate = useNavigate({ from: "/playground" });
  const runs = useQuery(runPage({ limit: 100 })).data?.runs.filter((run) => run.has_checkpoint);
  const runId = chosen ?? runs?.[0]?.run_id;
  const state = useQuery(playgroundState()).data;
  const isHeld = useWorkspace(({ queue }) => queue?.active != null);
  const isBlocked = isHeld || state?.state === "blocked";
  const { exchange, isAsking, ask, stop } = useExchange();
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Playground"
        detail={
          state?.memory_gb ? `${formatNumber(state.memory_gb, 3)} GB of memory in use` : undefined
        }
        actions={state?.state === "warm" && !isAsking ? <Unload /> : null}
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        {isBlocked ? <Blocked reason={state?.reason ?? null} /> : null}
        {runs && runs.length === 0 ? (
          <EmptyState
            title="No student to talk to yet"
            action={
              <ButtonLink to="/new" look="primary">
                Plan a run
              </ButtonLink>
            }
          >
            A run with a checkpoint gives the playground its student, teacher and base model.
          </EmptyState>
        ) : (
          <>
            <QuestionForm
              runs={(runs ?? []).map((run) => ({ value: run.run_id, label: run.name }))}
              runId={runId ?? ""}
              onRun={(run) => void navigate({ search: { run }, replace: true })}
              isAsking={isAsking}
              isBlocked={isBlocked}
              ask={ask}
              stop={stop}
            />
            <Voices exchange={exchange} />
          </>
        )}
      </div>
    </div>
  );
}

/** A run at work has the models' memory: who it is, and that it can be paused. */
function Blocked({ reason }: { reason: string | null }) {
  const { queue, runs } = useWorkspace();
  const run = queue?.active ? runs[queue.active.run_id] : undefined;
  return (
    <Notice
      tone="warn"
      title={run ? `The run “${run.name}” has the GPU` : (reason ?? "A run has the GPU")}
      action={
        run ? (
          <ButtonLink to="/runs/$runId" params={{ runId: run.run_id }} size="sm">
            Open the run
          </ButtonLink>
        ) : null
      }
    >
      Both together could exceed the memory. Pause the run to ask now; it resumes where it was.
    </Notice>
  );
}

function useExchange() {
  const [exchange, setExchange] = useState<Exchange>(EMPTY_EXCHANGE);
  const work = useRef<AbortController | null>(null);
  useEffect(() => () => work.current?.abort(), []);
  const asking = useMutation({
    mutationFn: (question: PlaygroundQuestion) => {
      work.current = new AbortController();
      setExchange(EMPTY_EXCHANGE);
      return askPlayground(
        question,
        (message) => setExchange((before) => foldPlayground(before, message)),
        work.current.signal,
      );
    },
    onError: (error) => {
      if (!work.current?.signal.aborted) {
        const { title, reason } = describeError(error);
        setExchange((before) => ({
          ...before,
          ending: { tone: "bad", text: title, action: reason },
        }));
      }
    },
    onSettled: () => queryClient.invalidateQueries({ queryKey: ["playground"] }),
  });
  return {
    exchange,
    isAsking: asking.isPending,
    ask: asking.mutate,
    stop: () => work.current?.abort(),
  };
}

function Unload() {
  const unload = useMutation({
    mutationFn: unloadPlayground,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ["playground"] }),
    onError: showError,
  });
  return (
    <Button busy={unload.isPending} onClick={() => unload.mutate()}>
      Give the memory back
    </Button>
  );
}

interface QuestionFormProps {
  runs: readonly { value: string; label: string }[];
  runId: string;
  onRun: (runId: string) => void;
  isAsking: boolean;
  isBlocked: boolean;
  ask: (question: PlaygroundQuestion) => void;
  stop: () => void;
}

function QuestionForm({ runs, runId, onRun, isAsking, isBlocked, ask, stop }: QuestionFormProps) {
  const [prompt, setPrompt] = useState("");
  const [temperature, setTemperature] = useState("0");
  const [maxTokens, setMaxTokens] = useState("256");
  const [checkpoint, setCheckpoint] = useState<"best" | "last">("best");
  const isHot = !(Number(temperature) >= 0 && Number(temperature) <= 4) || temperature === "";
  const isLong = !(Number.isInteger(Number(maxTokens)) && Number(maxTokens) >= 1);
  const canAsk = !isBlocked && !isHot && !isLong && prompt.trim() !== "";
  function send() {
    if (!canAsk) {
      return;
    }
    ask({
      messages: [{ role: "user", content: prompt }],
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
        className="flex flex-col gap-2"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
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
          <Select label="Run" value={runId} choices={runs} onChange={onRun} className="w-64" />
          <Select
            label="Checkpoint"
            value={checkpoint}
            choices={[
              { value: "best", label: "Best checkpoint" },
              { value: "last", label: "Last checkpoint" },
            ]}
            onChange={(value) => setCheckpoint(value === "last" ? "last" : "best")}
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
