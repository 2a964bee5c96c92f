import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { rotateToken, type TokenScope } from "@/api/tokens";
import { Button } from "@/components/button";
import { CopyButton } from "@/components/copy-button";
import { Dialog } from "@/components/dialog";
import { showError } from "@/features/runs/run-actions";

const ABOUT: Record<TokenScope, { title: string; words: string }> = {
  read: { title: "Read token", words: "Reads runs and chats with models; changes nothing." },
  write: {
    title: "Write token",
    words: "Does everything this screen does: starts, changes, deletes.",
  },
};

interface TokenRowProps {
  scope: TokenScope;
  token: string;
  isShown: boolean;
}

/** One token: what it may do, to copy, and to replace. */
export function TokenRow({ scope, token, isShown }: TokenRowProps) {
  const [isAsking, setAsking] = useState(false);
  const { title, words } = ABOUT[scope];
  const replace = useMutation({
    mutationFn: () => rotateToken(scope),
    onSuccess: () => toast(`There is a new ${title.toLowerCase()}.`),
    onError: showError,
    onSettled: () => setAsking(false),
  });
  return (
    <li className="p-2">
      <div className="flex items-center justify-between gap-2">
        <h3 className="font-medium">{title}</h3>
        <span className="flex">
          <CopyButton label="Copy" about={title} text={token} />
          <Button
            size="sm"
            look="quiet"
            aria-label={`Replace the ${title.toLowerCase()}`}
            onClick={() => setAsking(true)}
          >
            Replace
          </Button>
        </span>
      </div>
      <p className="font-mono text-sm break-all">{isShown ? token : "•".repeat(24)}</p>
      <p className="text-sm text-muted">{words}</p>
      <Dialog
        open={isAsking}
        onOpenChange={setAsking}
        title={`Replace the ${title.toLowerCase()}?`}
        footer={
          <>
            <Button onClick={() => setAsking(false)}>Cancel</Button>
            <Button look="danger" busy={replace.isPending} onClick={() => replace.mutate()}>
              Replace it
            </Button>
          </>
        }
      >
        <p>Programs that have the old one are refused from then on, until they get the new one.</p>
      </Dialog>
    </li>
  );
}
