import clsx from "clsx";
import { FileText } from "lucide-react";
import { type DragEvent, useRef, useState } from "react";
import { Button } from "@/components/button";

interface FileDropProps {
  label: string;
  hint: string;
  /** As in `accept` of a file input, for example ".jsonl". */
  accept: string;
  busy?: boolean;
  onFile: (file: File) => void;
  /** Asks for a file in another way than the browser's. */
  onBrowse?: (() => void) | undefined;
}

/** A place to drop a file on, with a button for those who cannot drag. */
export function FileDrop({ label, hint, accept, busy = false, onFile, onBrowse }: FileDropProps) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);

  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    const file = event.dataTransfer.files[0];
    if (file) {
      onFile(file);
    }
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same by keyboard
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={clsx(
        "flex items-center gap-3 rounded-lg border border-dashed px-3 py-3",
        over ? "border-accent bg-accent-soft" : "border-line-strong bg-sunken",
      )}
    >
      <FileText className="size-4 shrink-0 text-faint" aria-hidden />
      <div className="min-w-0 grow">
        <p className="font-medium">{label}</p>
        <p className="text-sm text-muted">{hint}</p>
      </div>
      <input
        ref={input}
        type="file"
        accept={accept}
        aria-label={label}
        className="sr-only"
        tabIndex={-1}
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) {
            onFile(file);
          }
          event.target.value = "";
        }}
      />
      <Button busy={busy} onClick={onBrowse ?? (() => input.current?.click())}>
        Browse
      </Button>
    </div>
  );
}
