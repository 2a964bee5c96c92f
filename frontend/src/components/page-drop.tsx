import clsx from "clsx";
import { type DragEvent, useEffect, useState } from "react";

/** A place that a file can be meant for, wherever on the page it is dropped. */
export interface DropTarget {
  label: string;
  onFile: (file: File) => void;
}

/**
 * Takes files that are dropped anywhere on the page: while one is dragged, the targets cover it. What
 * is dropped beside them is for the first.
 */
export function PageDrop({ targets }: { targets: readonly DropTarget[] }) {
  const isDragging = useDragging();
  if (!isDragging) {
    return null;
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it is there only while a mouse drags a file
    <div
      data-testid="page-drop"
      className="fixed inset-0 z-50 flex gap-4 bg-page/80 p-8"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => event.target === event.currentTarget && give(event, targets[0])}
    >
      {targets.map((target) => (
        <Place key={target.label} target={target} />
      ))}
    </div>
  );
}

function Place({ target }: { target: DropTarget }) {
  const [over, setOver] = useState(false);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it is there only while a mouse drags a file
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => give(event, target)}
      className={clsx(
        "flex grow items-center justify-center rounded-lg border border-dashed text-lg font-medium",
        over ? "border-accent bg-accent-soft" : "border-line-strong bg-raised",
      )}
    >
      {target.label}
    </div>
  );
}

function give(event: DragEvent, target: DropTarget | undefined): void {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  if (file && target) {
    target.onFile(file);
  }
}

/** Whether a file is being dragged over this window. */
function useDragging(): boolean {
  const [isDragging, setDragging] = useState(false);
  useEffect(() => {
    const enter = (event: globalThis.DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) {
        setDragging(true);
      }
    };
    // It left the window where it goes to nothing.
    const leave = (event: globalThis.DragEvent) =>
      event.relatedTarget === null && setDragging(false);
    const end = () => setDragging(false);
    // A file that misses would be opened in the place of the page.
    const hold = (event: globalThis.DragEvent) => event.preventDefault();
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", hold);
    window.addEventListener("drop", hold);
    window.addEventListener("drop", end);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", hold);
      window.removeEventListener("drop", hold);
      window.removeEventListener("drop", end);
    };
  }, []);
  return isDragging;
}
