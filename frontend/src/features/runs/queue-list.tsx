import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import clsx from "clsx";
import { ChevronDown, ChevronUp, GripVertical, X } from "lucide-react";
import { useState } from "react";
import { reorderQueue } from "@/api/bundles";
import { useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { heldBack, moved } from "@/features/runs/order";
import { showError, useRunVerb } from "@/features/runs/run-actions";

/** Who waits, in order; dragged or moved by buttons. */
export function QueueList() {
  const { queue, runs } = useWorkspace();
  const verb = useRunVerb();
  const [dragged, setDragged] = useState<number | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const order = useMutation({
    mutationFn: reorderQueue,
    onSuccess: (next) => useWorkspace.setState({ queue: next }),
    onError: showError,
  });
  const waiting = (queue?.queue ?? []).map((entry) => entry.run_id);
  const held = heldBack(queue);
  if (waiting.length === 0) {
    return (
      <p className="p-3 text-muted">No run waits. One run works at a time; others queue here.</p>
    );
  }
  const move = (from: number, to: number) => order.mutate(moved(waiting, from, to));
  return (
    <ol className="divide-y">
      {waiting.map((runId, place) => {
        const name = runs[runId]?.name ?? runId;
        return (
          <li
            key={runId}
            draggable
            onDragStart={() => setDragged(place)}
            onDragOver={(event) => {
              event.preventDefault();
              setOver(place);
            }}
            onDragEnd={() => {
              setDragged(null);
              setOver(null);
            }}
            onDrop={() => dragged !== null && dragged !== place && move(dragged, place)}
            className={clsx(
              "num flex h-8 items-center gap-1 px-2",
              over === place && dragged !== null && "bg-selected",
            )}
          >
            <GripVertical className="size-3.5 shrink-0 cursor-grab text-faint" aria-hidden />
            <span className="w-4 shrink-0 text-faint">{place + 1}</span>
            <Link to="/runs/$runId" params={{ runId }} className="truncate hover:underline">
              {name}
            </Link>
            <span className="ml-auto flex">
              {runId === held ? (
                <Button
                  size="sm"
                  look="quiet"
                  onClick={() => verb.mutate({ runId, verb: "start", anyway: true })}
                >
                  Start anyway
                </Button>
              ) : null}
              <Button
                size="sm"
                look="quiet"
                disabled={place === 0 || order.isPending}
                icon={<ChevronUp aria-hidden />}
                aria-label={`Move ${name} up`}
                onClick={() => move(place, place - 1)}
              />
              <Button
                size="sm"
                look="quiet"
                disabled={place === waiting.length - 1 || order.isPending}
                icon={<ChevronDown aria-hidden />}
                aria-label={`Move ${name} down`}
                onClick={() => move(place, place + 1)}
              />
              <Button
                size="sm"
                look="quiet"
                icon={<X aria-hidden />}
                aria-label={`Take ${name} off the queue`}
                onClick={() => verb.mutate({ runId, verb: "dequeue" })}
              />
            </span>
          </li>
        );
      })}
    </ol>
  );
}
