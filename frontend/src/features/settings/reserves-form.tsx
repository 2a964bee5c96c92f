import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { type Reserves, reserves, setReserves } from "@/api/instance";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import { Button } from "@/components/button";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { Skeleton } from "@/components/states";

/** What runs must leave free; below it none starts, and one at work is paused. */
export function ReservesForm() {
  const query = useQuery(reserves());
  if (query.isPending) {
    return <Skeleton className="h-24" />;
  }
  if (!query.data) {
    return <p className="text-bad">{describeError(query.error).title}</p>;
  }
  return <Form kept={query.data} key={JSON.stringify(query.data)} />;
}

const FIELDS = [
  { key: "memory_gb", label: "Memory that stays free" },
  { key: "disk_gb", label: "Disk that stays free" },
] as const;

function Form({ kept }: { kept: Reserves }) {
  const [texts, setTexts] = useState({
    memory_gb: String(kept.memory_gb),
    disk_gb: String(kept.disk_gb),
  });
  const wanted = { memory_gb: Number(texts.memory_gb), disk_gb: Number(texts.disk_gb) };
  const isWrong = (key: keyof Reserves) => texts[key].trim() === "" || !(wanted[key] >= 0);
  const save = useMutation({
    mutationFn: () => setReserves(wanted),
    onSuccess: (now) => {
      queryClient.setQueryData(reserves().queryKey, now);
      toast("Saved.");
    },
  });
  const isChanged = wanted.memory_gb !== kept.memory_gb || wanted.disk_gb !== kept.disk_gb;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <p className="mb-3 text-muted">
        Below this no run starts, and a run at work is paused with its progress kept.
      </p>
      <div className="grid grid-cols-2 gap-4">
        {FIELDS.map(({ key, label }) => (
          <Field
            key={key}
            label={label}
            unit="GB"
            error={isWrong(key) ? "A number, 0 or more." : undefined}
          >
            {(control) => (
              <Input
                {...control}
                inputMode="decimal"
                autoComplete="off"
                value={texts[key]}
                onChange={(event) => setTexts({ ...texts, [key]: event.target.value })}
              />
            )}
          </Field>
        ))}
      </div>
      {save.error ? (
        <p role="alert" className="text-bad">
          {describeError(save.error).title}
        </p>
      ) : null}
      <Button
        type="submit"
        className="mt-1"
        busy={save.isPending}
        disabled={!isChanged || FIELDS.some(({ key }) => isWrong(key))}
      >
        Save
      </Button>
    </form>
  );
}
