import { Brain, Eye, HardDrive } from "lucide-react";
import { Badge } from "@/components/badge";
import { formatBytes, formatNumber } from "@/components/format";
import type { CardModel } from "@/features/models/cards";
import { roughDuration } from "@/features/models/rough-duration";
import { Fits } from "@/features/models/weights";

/** A model at a glance: what it is, where it is, and whether it fits. */
export function ModelCard({ card }: { card: CardModel }) {
  const { model, form, choice, verdict } = card;
  const thinks = model.thinking !== null && model.thinking !== "never";
  return (
    <div className="flex h-full min-w-0 flex-col justify-between gap-1">
      <div className="flex min-w-0 items-center gap-2">
        <span className="truncate font-medium" title={form.name}>
          {model.title}
        </span>
        <span className="ml-auto shrink-0">
          <Fits verdict={verdict} />
        </span>
      </div>
      <div className="num flex min-w-0 items-baseline gap-2 text-sm text-muted">
        <span className="truncate">
          {[model.family, formatParameters(model.parameters), form.precision]
            .filter(Boolean)
            .join(" · ")}
          {model.forms.length > 1 ? ` of ${model.forms.length} forms` : null}
        </span>
        <span className="ml-auto shrink-0">{needsOf(card)}</span>
      </div>
      <div className="num flex min-w-0 items-center gap-1 overflow-hidden">
        {model.problem ? (
          <Badge tone="bad">{model.problem}</Badge>
        ) : form.isHere ? (
          <Badge tone="good">
            <HardDrive aria-hidden /> on disk {sizeOf(form.gigabytes)}
          </Badge>
        ) : (
          <Badge>download {sizeOf(form.gigabytes)}</Badge>
        )}
        {thinks ? (
          <Badge>
            <Brain role="img" aria-label={model.thinking === "always" ? "thinks" : "can think"} />
          </Badge>
        ) : null}
        {model.vision ? (
          <Badge>
            <Eye role="img" aria-label="sees pictures" />
          </Badge>
        ) : null}
        {choice?.speaks === "other" ? <Badge tone="warn">other tokens</Badge> : null}
        {choice?.problem ? (
          <span title={choice.problem}>
            <Badge tone="warn">not for this</Badge>
          </span>
        ) : null}
        {model.trains ? null : <Badge>teaches only</Badge>}
      </div>
    </div>
  );
}

function needsOf({ choice }: CardModel): string {
  if (!choice || choice.needed_gb === null) {
    return "";
  }
  const time = choice.seconds === null ? "" : `, ${roughDuration(choice.seconds)}`;
  return `${formatNumber(choice.needed_gb, 3)} GB${time}`;
}

export function sizeOf(gigabytes: number | null): string {
  return gigabytes === null ? "" : formatBytes(gigabytes * 1e9);
}

/** 7.6B, 0.7M: as models are named by. */
export function formatParameters(parameters: number | null): string {
  if (parameters === null) {
    return "";
  }
  return parameters >= 1e8
    ? `${(parameters / 1e9).toFixed(1)}B`
    : `${(parameters / 1e6).toFixed(1)}M`;
}
