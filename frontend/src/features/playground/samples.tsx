import { useQuery } from "@tanstack/react-query";
import { RefreshCw } from "lucide-react";
import { useState } from "react";
import { runSamples } from "@/api/playground";
import type { SamplePrompt } from "@/api/types";
import { Button } from "@/components/button";

interface SamplesProps {
  runId: string;
  onTake: (sample: SamplePrompt) => void;
}

/** Prompts from the run's own files, and a way to others. */
function useSamples(runId: string) {
  const [seed, setSeed] = useState(0);
  const samples = useQuery({ ...runSamples(runId, seed), enabled: runId !== "" }).data ?? [];
  return { samples, more: () => setSeed(seed + 1) };
}

const keyOf = ({ source, line }: SamplePrompt) => `${source} ${line}`;
const titleOf = ({ source, line, text }: SamplePrompt) =>
  `${source}, line ${line}: ${text.slice(0, 400)}`;

/** In one line, beside a conversation that has begun. */
export function SampleStrip({ runId, onTake }: SamplesProps) {
  const { samples, more } = useSamples(runId);
  if (samples.length === 0) {
    return null;
  }
  return (
    <section aria-label="Prompts of this run" className="flex min-w-0 items-center gap-2">
      <ul className="flex min-w-0 grow gap-1.5 overflow-x-auto">
        {samples.map((sample) => (
          <li key={keyOf(sample)} className="shrink-0">
            <Button
              size="sm"
              className="rounded-full"
              title={titleOf(sample)}
              onClick={() => onTake(sample)}
            >
              <span className="max-w-52 truncate" dir="auto">
                {sample.text}
              </span>
            </Button>
          </li>
        ))}
      </ul>
      <More onPress={more} />
    </section>
  );
}

/** As cards, where nothing has been asked yet. */
export function SampleCards({ runId, onTake }: SamplesProps) {
  const { samples, more } = useSamples(runId);
  if (samples.length === 0) {
    return null;
  }
  return (
    <section aria-label="Prompts of this run" className="w-full max-w-2xl">
      <div className="flex items-center justify-between pb-1">
        <h3 className="text-muted">From this run’s own files</h3>
        <More onPress={more} />
      </div>
      <ul className="grid gap-2 sm:grid-cols-2">
        {samples.map((sample) => (
          <li key={keyOf(sample)}>
            <button
              type="button"
              title={titleOf(sample)}
              onClick={() => onTake(sample)}
              className="flex w-full flex-col gap-0.5 rounded-lg border bg-surface px-3 py-2 text-left hover:bg-hover"
            >
              <span className="line-clamp-2 break-words" dir="auto">
                {sample.text}
              </span>
              <span className="num truncate text-sm text-faint">
                {sample.source}, line {sample.line}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function More({ onPress }: { onPress: () => void }) {
  return (
    <Button
      size="sm"
      look="quiet"
      icon={<RefreshCw aria-hidden />}
      aria-label="Other prompts of this run"
      onClick={onPress}
    />
  );
}
