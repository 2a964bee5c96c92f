import clsx from "clsx";
import type { InputHTMLAttributes, ReactNode, Ref, TextareaHTMLAttributes } from "react";

const FRAME =
  "rounded-md border border-line-strong bg-sunken hover:border-faint aria-invalid:border-bad disabled:opacity-50";

interface InputProps extends InputHTMLAttributes<HTMLInputElement> {
  icon?: ReactNode;
  trailing?: ReactNode;
  ref?: Ref<HTMLInputElement>;
}

export function Input({ icon, trailing, className, ...rest }: InputProps) {
  return (
    <span className={clsx("relative inline-flex min-w-0 items-center", className)}>
      {icon ? (
        <span className="pointer-events-none absolute left-2 text-faint [&_svg]:size-3.5">
          {icon}
        </span>
      ) : null}
      <input
        className={clsx("num h-8 w-full min-w-0 px-2", icon && "pl-7", trailing && "pr-12", FRAME)}
        {...rest}
      />
      {trailing ? <span className="absolute right-1.5 text-faint">{trailing}</span> : null}
    </span>
  );
}

interface TextAreaProps extends TextareaHTMLAttributes<HTMLTextAreaElement> {
  ref?: Ref<HTMLTextAreaElement>;
}

export function TextArea({ className, ...rest }: TextAreaProps) {
  return <textarea className={clsx("min-h-16 px-2 py-1.5", FRAME, className)} {...rest} />;
}
