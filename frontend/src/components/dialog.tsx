import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { Button } from "@/components/button";

interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: string;
  children: ReactNode;
  footer?: ReactNode;
}

export function Dialog({ open, onOpenChange, title, description, children, footer }: DialogProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-scrim" />
        <Radix.Content
          aria-describedby={undefined}
          className="fixed top-[12vh] left-1/2 z-50 flex max-h-[76vh] w-[min(560px,92vw)] -translate-x-1/2 flex-col rounded-lg border border-line-strong bg-raised shadow-popover"
        >
          <header className="flex items-start gap-3 px-4 pt-3 pb-2">
            <div className="grow">
              <Radix.Title className="text-lg font-semibold">{title}</Radix.Title>
              {description ? <p className="text-muted">{description}</p> : null}
            </div>
            <Radix.Close asChild>
              <Button look="quiet" size="sm" icon={<X aria-hidden />} aria-label="Close" />
            </Radix.Close>
          </header>
          <div className="overflow-y-auto px-4 pb-4">{children}</div>
          {footer ? (
            <footer className="flex justify-end gap-2 border-t px-4 py-3">{footer}</footer>
          ) : null}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
