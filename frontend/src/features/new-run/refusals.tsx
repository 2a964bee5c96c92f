import { describeError, isMemoryInUse, leavesMachine } from "@/api/problem";
import { Button } from "@/components/button";
import { Notice } from "@/components/states";
import { Leaving } from "@/features/new-run/leaving";

interface RefusalsProps {
  error: unknown;
  /** Starts although others hold the memory. */
  onAnyway: () => void;
  /** Starts although prompts leave this machine. */
  onConfirm: () => void;
}

/** Whether a refusal is one that asks back. */
export function asksBack(error: unknown): boolean {
  return isMemoryInUse(error) || leavesMachine(error);
}

/** What a start was refused for and may be asked again with. */
export function Refusals({ error, onAnyway, onConfirm }: RefusalsProps) {
  if (leavesMachine(error)) {
    return <Leaving error={error} onConfirm={onConfirm} />;
  }
  if (!isMemoryInUse(error)) {
    return null;
  }
  const { title, reason } = describeError(error);
  return (
    <div className="mt-3">
      <Notice tone="warn" title={title} action={<Button onClick={onAnyway}>Start anyway</Button>}>
        {reason}
      </Notice>
    </div>
  );
}
