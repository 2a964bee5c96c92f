import type { ReactNode } from "react";
import { runPicture } from "@/api/pictures";
import type { RolloutRecord } from "@/api/types";
import { type ShownPicture, Thumbnail } from "@/components/picture";

/** What a rollout's prompt shows, in order; the run keeps small copies. */
export function picturesOf(
  runId: string,
  { pictures }: Pick<RolloutRecord, "pictures">,
): ShownPicture[] {
  return (pictures ?? []).map((digest, index) => ({
    src: runPicture(runId, digest),
    name: `Picture ${index + 1}`,
  }));
}

interface BesidePicturesProps {
  pictures: readonly ShownPicture[];
  children: ReactNode;
}

/** Completions, and beside them what they are about; above them where there is no room. */
export function BesidePictures({ pictures, children }: BesidePicturesProps) {
  const completions = <div className="flex min-w-0 grow flex-col gap-3">{children}</div>;
  if (pictures.length === 0) {
    return completions;
  }
  return (
    <div className="flex flex-col gap-3 xl:flex-row">
      <div className="flex shrink-0 flex-wrap content-start gap-2 xl:w-44 xl:flex-col">
        {pictures.map((picture) => (
          <Thumbnail
            key={picture.name}
            picture={picture}
            className="max-h-44 min-h-16 max-w-44 min-w-16 self-start rounded-md border"
          />
        ))}
      </div>
      {completions}
    </div>
  );
}
