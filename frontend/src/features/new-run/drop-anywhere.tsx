import { PageDrop } from "@/components/page-drop";
import { useRecentFiles } from "@/features/data/recent-files";
import { useUpload } from "@/features/data/set-picker";
import { settingOf, useDraft } from "@/features/new-run/draft";
import type { FileSlot } from "@/features/new-run/files";

/** A file may be dropped anywhere on the step: the places that it can be for cover the page then. */
export function DropAnywhere({ slots }: { slots: readonly FileSlot[] }) {
  const { config, set } = useDraft();
  const used = useRecentFiles((recent) => recent.used);
  const upload = useUpload(() => undefined);
  const isEmpty = (slot: FileSlot) => !settingOf(config, slot.key);
  // What misses every place is for the first that is still empty.
  const ordered = [...slots].sort((one, other) => Number(isEmpty(other)) - Number(isEmpty(one)));
  return (
    <PageDrop
      targets={ordered.map((slot) => ({
        label: slot.title,
        onFile: (file) =>
          upload.mutate(file, {
            onSuccess: ({ path }) => {
              used(path);
              set(slot.key, path);
            },
          }),
      }))}
    />
  );
}
