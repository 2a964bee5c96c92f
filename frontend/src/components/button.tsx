import clsx from "clsx";
import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";

export type ButtonLook = "primary" | "plain" | "quiet" | "danger";

const LOOKS: Record<ButtonLook, string> = {
  primary: "bg-accent text-on-accent border-transparent hover:brightness-110 font-medium",
  plain: "bg-surface border-line-strong hover:bg-hover",
  quiet: "border-transparent text-muted hover:bg-hover hover:text-ink",
  danger: "bg-surface border-line-strong text-bad hover:bg-bad-soft hover:border-bad",
};

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: ButtonLook;
  size?: "md" | "sm";
  icon?: ReactNode;
  busy?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

interface Shape {
  look?: ButtonLook | undefined;
  size?: "md" | "sm" | undefined;
  isIcon?: boolean;
}

/** The classes of a button, for what looks like one. */
export function buttonClass({ look = "plain", size = "md", isIcon = false }: Shape): string {
  const small = size === "sm";
  return clsx(
    "inline-flex shrink-0 select-none items-center justify-center gap-1.5 rounded-md border whitespace-nowrap",
    "disabled:cursor-not-allowed disabled:opacity-50 [&_svg]:size-3.5 [&_svg]:shrink-0",
    small ? "h-6 text-sm" : "h-8",
    isIcon ? (small ? "w-6" : "w-8") : small ? "px-2" : "px-3",
    LOOKS[look],
  );
}

/** A verb. Without children it is an icon button and needs an `aria-label`. */
export function Button({
  look,
  size,
  icon,
  busy = false,
  className,
  children,
  disabled,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      aria-busy={busy || undefined}
      disabled={disabled || busy}
      className={clsx(buttonClass({ look, size, isIcon: children === undefined }), className)}
      {...rest}
    >
      {icon}
      {children}
    </button>
  );
}
