import { useQuery } from "@tanstack/react-query";
import { folders } from "@/api/folders";
import { describeError } from "@/api/problem";
import type { FolderView } from "@/api/types";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { SkeletonRows } from "@/components/states";
import { ChosenFolder } from "@/features/settings/chosen-folder";
import { FOLDER_WORDS, Problem, Room } from "@/features/settings/folder-parts";

/** Where everything goes on this machine, how full the disks are, and what changes it. */
export function Folders() {
  const query = useQuery(folders());
  return (
    <Card title="Folders" flush>
      {query.isPending ? (
        <SkeletonRows count={5} />
      ) : query.error ? (
        <p className="p-3 text-bad">{describeError(query.error).title}</p>
      ) : (
        <ul className="divide-y">
          {query.data.folders.map((folder) => (
            <li key={folder.key} className="flex flex-col gap-1 p-3">
              {folder.key === "exports" || folder.key === "picker" ? (
                <ChosenFolder
                  key={folder.path}
                  place={folder.key}
                  folder={folder}
                  told={query.data}
                />
              ) : (
                <FixedFolder folder={folder} />
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

/** A folder that is decided when the program starts, with the command that decides it. */
function FixedFolder({ folder }: { folder: FolderView }) {
  const [label, words] = FOLDER_WORDS[folder.key];
  return (
    <>
      <div className="flex items-center gap-2">
        <span className="font-medium">{label}</span>
        <Room folder={folder} />
        <span className="ml-auto">
          <CopyButton label="Copy" text={folder.path ?? ""} />
        </span>
      </div>
      <p className="font-mono text-sm break-all">{folder.path}</p>
      <Problem folder={folder} />
      <p className="text-sm text-muted">
        {words} To move it, start with{" "}
        <code className="font-mono break-words text-ink">{folder.command}</code>
      </p>
    </>
  );
}
