import { ImagePlus, X } from "lucide-react";
import { useRef } from "react";
import { Button } from "@/components/button";
import { formatBytes } from "@/components/format";
import { Thumbnail } from "@/components/picture";
import { type Attachment, PICTURE_TYPES } from "@/features/playground/attachments";

interface PictureTrayProps {
  pictures: readonly Attachment[];
  refusal: string;
  onRemove: (id: number) => void;
}

/** The pictures of a question, in the order in which the models see them. */
export function PictureTray({ pictures, refusal, onRemove }: PictureTrayProps) {
  return (
    <>
      {pictures.length > 0 ? (
        <ul aria-label="Pictures of the question" className="flex flex-wrap gap-2">
          {pictures.map(({ id, name, src, numBytes }, place) => (
            <li key={id} className="flex items-center gap-2 rounded-md border bg-sunken p-1">
              <Thumbnail picture={{ src, name }} className="size-12 rounded-sm" />
              <span className="num min-w-0 text-sm">
                <span className="block max-w-40 truncate" title={name}>
                  {place + 1}. {name}
                </span>
                <span className="text-muted">{numBytes ? formatBytes(numBytes) : "of a set"}</span>
              </span>
              <Button
                look="quiet"
                size="sm"
                icon={<X aria-hidden />}
                aria-label={`Take ${name} out`}
                onClick={() => onRemove(id)}
              />
            </li>
          ))}
        </ul>
      ) : null}
      {refusal ? (
        <p role="alert" className="text-bad">
          {refusal}
        </p>
      ) : null}
    </>
  );
}

/** Picks pictures for those who neither drag nor paste. */
export function AddPictures({ onFiles }: { onFiles: (files: readonly File[]) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        accept={PICTURE_TYPES.join(",")}
        aria-label="Pictures to add"
        className="sr-only"
        tabIndex={-1}
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <Button
        size="sm"
        look="quiet"
        icon={<ImagePlus aria-hidden />}
        title="Or drop them here, or paste one"
        onClick={() => input.current?.click()}
      >
        Add pictures
      </Button>
    </>
  );
}
