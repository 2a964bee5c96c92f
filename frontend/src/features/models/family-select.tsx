import { Select } from "@/components/select";

const ANY = "any";

interface FamilySelectProps {
  families: readonly string[];
  /** Empty for every family. */
  value: string;
  onChange: (family: string) => void;
  size?: "md" | "sm";
}

/** Which family of models is looked at. */
export function FamilySelect({ families, value, onChange, size = "md" }: FamilySelectProps) {
  return (
    <Select
      label="Family"
      size={size}
      value={value || ANY}
      choices={[
        { value: ANY, label: "Every family" },
        ...families.map((family) => ({ value: family, label: family })),
      ]}
      onChange={(family) => onChange(family === ANY ? "" : family)}
      className="w-36"
    />
  );
}
