import clsx from "clsx";
import { Check, ChevronDown } from "lucide-react";
import { Select as Radix } from "radix-ui";

export interface Choice {
  value: string;
  label: string;
  hint?: string | undefined;
}

interface SelectProps {
  value: string;
  choices: readonly Choice[];
  onChange: (value: string) => void;
  id?: string;
  label?: string;
  placeholder?: string;
  className?: string;
  size?: "md" | "sm";
  disabled?: boolean;
  "aria-describedby"?: string;
  "aria-invalid"?: boolean;
}

export function Select({ value, choices, onChange, label, placeholder, ...rest }: SelectProps) {
  const { className, disabled, size = "md", ...control } = rest;
  return (
    <Radix.Root value={value} onValueChange={onChange} disabled={disabled ?? false}>
      <Radix.Trigger
        {...control}
        aria-label={label}
        className={clsx(
          size === "sm" ? "h-6 text-sm" : "h-8",
          "inline-flex items-center justify-between gap-2 rounded-md border border-line-strong bg-surface px-2 text-left hover:bg-hover aria-invalid:border-bad disabled:opacity-50",
          className,
        )}
      >
        <span className="truncate">
          <Radix.Value placeholder={placeholder ?? "Choose"} />
        </span>
        <ChevronDown className="size-3.5 shrink-0 text-faint" aria-hidden />
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          position="popper"
          sideOffset={4}
          className="z-50 max-h-80 min-w-(--radix-select-trigger-width) overflow-hidden rounded-lg border border-line-strong bg-raised p-1 shadow-popover"
        >
          <Radix.Viewport>
            {choices.map((choice) => (
              <Radix.Item
                key={choice.value}
                value={choice.value}
                className="flex min-h-7 items-center gap-2 rounded-sm py-1 pr-2 pl-1 outline-none data-highlighted:bg-hover"
              >
                <span className="flex w-4 justify-center">
                  <Radix.ItemIndicator>
                    <Check className="size-3.5" aria-hidden />
                  </Radix.ItemIndicator>
                </span>
                <Radix.ItemText>{choice.label}</Radix.ItemText>
                {choice.hint ? (
                  <span className="ml-auto pl-3 text-sm text-faint">{choice.hint}</span>
                ) : null}
              </Radix.Item>
            ))}
          </Radix.Viewport>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
