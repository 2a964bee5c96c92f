import type { FolderView } from "@/api/types";
import { formatGigabytes } from "@/components/format";

export const FOLDER_WORDS: Readonly<Record<FolderView["key"], readonly [string, string]>> = {
  runs: ["Runs", "New runs with their checkpoints, in the workspace."],
  data: ["Data", "Files that are dropped here; those that are browsed stay where they are."],
  models: ["Models", "What is downloaded: the hub’s own cache, shared with other programs."],
  exports: ["Exports", "Exported students, also those of opd export without --out."],
  picker: ["File picker", "Where the app’s file picker opens; empty: where it was last."],
};

/** How full a folder's disk is. */
export function Room({ folder }: { folder: FolderView }) {
  const { free_gb: free, total_gb: total } = folder;
  return free === null || total === null ? null : (
    <span className="num text-sm text-muted">
      {formatGigabytes(free)} of {formatGigabytes(total)} GB free
    </span>
  );
}

export function Problem({ folder }: { folder: FolderView }) {
  return folder.problem === null ? null : (
    <p role="alert" className="text-sm text-bad">
      {folder.problem}
    </p>
  );
}
