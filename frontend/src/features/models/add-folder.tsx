import { useMutation } from "@tanstack/react-query";
import { FolderPlus } from "lucide-react";
import { useState } from "react";
import { isDesktop, pickFolder } from "@/api/desktop";
import { addModelFolder } from "@/api/models";
import { queryClient } from "@/api/query-client";
import { Button } from "@/components/button";
import { Input } from "@/components/input";
import { Popover } from "@/components/popover";
import { showError } from "@/features/runs/run-actions";

/** Remembers a folder that holds a model; nothing is copied. */
export function AddFolder({ size = "md" }: { size?: "md" | "sm" }) {
  const [path, setPath] = useState("");
  const add = useMutation({
    mutationFn: addModelFolder,
    onSuccess: () => {
      setPath("");
      return queryClient.invalidateQueries({ queryKey: ["models"] });
    },
    onError: showError,
  });
  return (
    <Popover
      label="Add a folder"
      align="end"
      trigger={
        <Button size={size} icon={<FolderPlus aria-hidden />}>
          Add a folder
        </Button>
      }
    >
      <form
        className="flex w-96 gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          add.mutate(path);
        }}
      >
        <Input
          aria-label="Folder of a model"
          placeholder="/path/to/a/model"
          value={path}
          onChange={(event) => setPath(event.target.value)}
          className="grow"
        />
        {isDesktop() ? (
          <Button
            onClick={async () => {
              const picked = await pickFolder("Choose a folder with a model");
              if (picked) {
                setPath(picked);
              }
            }}
          >
            Browse
          </Button>
        ) : null}
        <Button type="submit" disabled={path === ""} busy={add.isPending}>
          Add
        </Button>
      </form>
    </Popover>
  );
}
