import clsx from "clsx";
import { type ReactNode, useId } from "react";

interface FieldProps {
  label: string;
  unit?: string | undefined;
  help?: ReactNode;
  error?: string | undefined;
  className?: string;
  /** The setting that it shows, by which an error leads to it. */
  setting?: string;
  children: (control: ControlProps) => ReactNode;
}

/** What a control spreads to be named, described and marked wrong. */
export interface ControlProps {
  id: string;
  "aria-describedby": string;
  "aria-invalid": boolean;
}

/** A label above a control, help below, and the error in place of the help. */
export function Field({ label, unit, help, error, className, setting, children }: FieldProps) {
  const id = useId();
  const describedBy = `${id}-help`;
  const wrong = error !== undefined;
  return (
    <div data-setting={setting} className={clsx("flex flex-col gap-1", className)}>
      <label htmlFor={id} className="flex items-baseline gap-1.5 font-medium">
        {label}
        {unit ? <span className="font-normal text-faint">{unit}</span> : null}
      </label>
      {children({ id, "aria-describedby": describedBy, "aria-invalid": wrong })}
      <p
        id={describedBy}
        role={wrong ? "alert" : undefined}
        className={clsx("text-sm", wrong ? "text-bad" : "text-muted")}
      >
        {error ?? help}
      </p>
    </div>
  );
}
