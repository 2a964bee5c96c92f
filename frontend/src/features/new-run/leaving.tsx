import { describeError } from "@/api/problem";
import { Button } from "@/components/button";
import { Notice } from "@/components/states";

/** Asks once whether prompts may go to a teacher on another machine. */
export function Leaving({ error, onConfirm }: { error: unknown; onConfirm: () => void }) {
  const { title, reason } = describeError(error);
  return (
    <div className="mt-3">
      <Notice tone="warn" title={title} action={<Button onClick={onConfirm}>Send them</Button>}>
        {reason}
      </Notice>
    </div>
  );
}
