import { Bookmark, Pencil, RotateCcw } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/button";
import { CopyButton } from "@/components/copy-button";
import { Thumbnail } from "@/components/picture";
import { KeepDialog } from "@/features/playground/keep-dialog";
import { messagesOf, type Round } from "@/features/playground/rounds";

interface AskedQuestionProps {
  round: Round;
  system: string;
  /** Asks it once more; null while that cannot be. */
  onAgain: (() => void) | null;
  onEdit: () => void;
}

/** A question as it was asked, and what can be done with it. */
export function AskedQuestion({ round, system, onAgain, onEdit }: AskedQuestionProps) {
  const [isKeeping, setKeeping] = useState(false);
  const { question, pictures, turns } = round;
  return (
    <div className="flex flex-col items-end gap-1">
      <div className="max-w-[80%] rounded-lg bg-selected px-3 py-2">
        {pictures.length > 0 ? (
          <div className="mb-1 flex flex-wrap gap-1">
            {pictures.map(({ id, src, name }) => (
              <Thumbnail key={id} picture={{ src, name }} className="size-12 rounded-sm" />
            ))}
          </div>
        ) : null}
        <p className="break-words whitespace-pre-wrap" dir="auto">
          {question.content}
        </p>
      </div>
      <div className="flex flex-wrap items-center justify-end">
        {turns.length > 0 ? (
          <span className="px-2 text-sm text-faint">Read after what was said above</span>
        ) : null}
        <CopyButton label="Copy" text={question.content} />
        <Button size="sm" look="quiet" icon={<Pencil aria-hidden />} onClick={onEdit}>
          Edit
        </Button>
        <Button
          size="sm"
          look="quiet"
          icon={<Bookmark aria-hidden />}
          onClick={() => setKeeping(true)}
        >
          Keep as a prompt
        </Button>
        {onAgain ? (
          <Button
            size="sm"
            look="quiet"
            icon={<RotateCcw aria-hidden />}
            title="Once more with the settings as they are now; above temperature 0 with another seed"
            onClick={onAgain}
          >
            Ask again
          </Button>
        ) : null}
      </div>
      <KeepDialog messages={messagesOf(system, round)} open={isKeeping} onOpenChange={setKeeping} />
    </div>
  );
}
