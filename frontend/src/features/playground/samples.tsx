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

/** A few prompts from the run's own files, to ask with one press. */
export function Samples({ runId, onTake }: SamplesProps) {
  const [seed, setSeed] = useState(0);
  const samples = useQuery({ ...runSamples(runId, seed), enabled: runId !== "" }).data ?? [];
  if (samples.length === 0) {
    return null;
  }
  return (
    <section aria-label="Prompts of this run" className="flex min-w-0 items-center gap-2">
      <ul className="flex min-w-0 grow gap-1.5 overflow-x-auto">
        {samples.map((sample) => (
          <li key={`${sample.source} ${sample.line}`} className="shrink-0">
            <Button
              size="sm"
              title={`${sample.source}, line ${sample.line}: ${sample.text.slice(0, 400)}`}
              onClick={() => onTake(sample)}
            >
              <span className="max-w-52 truncate" dir="auto">
                {sample.text}
              </span>
            </Button>
          </li>
        ))}
      </ul>
      <Button
        size="sm"
        look="quiet"
        icon={<RefreshCw aria-hidden />}
        aria-label="Other prompts of this run"
        onClick={() => setSeed(seed + 1)}
      />
    </section>
  );
}
