import clsx from "clsx";
import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/components/button";

/** Grey bars in the shape of what is coming; nothing moves, the screen shares the GPU. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={clsx("rounded-sm bg-hover", className)} />;
}

export function SkeletonRows({ count = 8 }: { count?: number }) {
  return (
    <div role="status" aria-label="Loading">
      {Array.from({ length: count }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike and never move
        <div key={row} className="flex h-8 items-center gap-4 border-b px-4">
          <Skeleton className="h-3 w-1/4" />
          <Skeleton className="h-3 w-1/6" />
          <Skeleton className="ml-auto h-3 w-16" />
        </div>
      ))}
    </div>
  );
}

interface EmptyStateProps {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  icon?: ReactNode;
}

export function EmptyState({ title, children, action, icon }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      {icon ? <span className="text-faint [&_svg]:size-5">{icon}</span> : null}
      <h2 className="font-medium">{title}</h2>
      {children ? <div className="max-w-md text-muted">{children}</div> : null}
      {action ? <div className="mt-2 flex gap-2">{action}</div> : null}
    </div>
  );
}

interface ErrorStateProps {
  /** What happened. */
  title: string;
  /** Why we think so. */
  reason?: string | undefined;
  /** What to press: the label of the button. */
  retry?: (() => void) | undefined;
}

export function ErrorState({ title, reason, retry }: ErrorStateProps) {
  return (
    <div role="alert" className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      <TriangleAlert className="size-5 text-bad" aria-hidden />
      <h2 className="font-medium">{title}</h2>
      {reason ? <p className="max-w-md text-muted">{reason}</p> : null}
      {retry ? (
        <Button className="mt-2" onClick={retry}>
          Try again
        </Button>
      ) : null}
    </div>
  );
}

interface NoticeProps {
  tone: "warn" | "bad" | "neutral";
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
}

const NOTICE_TONES = {
  warn: "border-warn/40 bg-warn-soft",
  bad: "border-bad/40 bg-bad-soft",
  neutral: "bg-sunken",
};

/** Something to know, in place: title, sentence, what to press. */
export function Notice({ tone, title, children, action }: NoticeProps) {
  return (
    <div
      role={tone === "bad" ? "alert" : "note"}
      className={clsx("flex items-start gap-3 rounded-lg border px-3 py-2", NOTICE_TONES[tone])}
    >
      <div className="min-w-0 grow">
        <p className="font-medium">{title}</p>
        {children ? <div className="text-muted">{children}</div> : null}
      </div>
      {action}
    </div>
  );
}
