import { Switch as Radix } from "radix-ui";

interface SwitchProps {
  checked: boolean;
  onChange: (checked: boolean) => void;
  id?: string;
  label?: string;
  disabled?: boolean;
  "aria-describedby"?: string;
}

export function Switch({ checked, onChange, label, disabled, ...rest }: SwitchProps) {
  return (
    <Radix.Root
      {...rest}
      aria-label={label}
      checked={checked}
      disabled={disabled ?? false}
      onCheckedChange={onChange}
      className="relative inline-flex h-4.5 w-8 shrink-0 items-center rounded-full border border-line-strong bg-sunken data-[state=checked]:border-accent data-[state=checked]:bg-accent"
    >
      <Radix.Thumb className="ml-0.5 block size-3 rounded-full bg-muted data-[state=checked]:ml-4 data-[state=checked]:bg-on-accent" />
    </Radix.Root>
  );
}
