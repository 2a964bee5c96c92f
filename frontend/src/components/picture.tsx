import clsx from "clsx";
import { ImageOff } from "lucide-react";
import { useState } from "react";
import { formatCount } from "@/components/format";
import { Popover } from "@/components/popover";

export interface ShownPicture {
  src: string;
  /** Such as "Picture 1". */
  name: string;
  /** Of the file, in pixels. */
  width?: number | null | undefined;
  height?: number | null | undefined;
  numTokens?: number | null | undefined;
  /** Why it cannot be used. */
  problem?: string | null | undefined;
}

interface ThumbnailProps {
  picture: ShownPicture;
  className?: string;
}

/** A small picture on the ground that transparent ones are read on; a sign where there is none. */
export function Thumbnail({ picture, className }: ThumbnailProps) {
  const [failed, setFailed] = useState<string | null>(null);
  if (picture.problem || failed === picture.src) {
    return (
      <span
        role="img"
        aria-label={`${picture.name} cannot be shown`}
        className={clsx("inline-flex items-center justify-center text-faint", className)}
      >
        <ImageOff className="size-4" aria-hidden />
      </span>
    );
  }
  return (
    <img
      src={picture.src}
      alt={picture.name}
      loading="lazy"
      decoding="async"
      onError={() => setFailed(picture.src)}
      className={clsx("bg-white object-contain", className)}
    />
  );
}

/** A picture in a line of words, with what it costs; pressed, it is shown larger. */
export function PictureChip({ picture }: { picture: ShownPicture }) {
  const tokens = tokensText(picture);
  return (
    <Popover
      label={picture.name}
      trigger={
        <button
          type="button"
          aria-label={[`Show ${picture.name}`, tokens].filter(Boolean).join(", ")}
          className={clsx(
            "num mx-1 inline-flex first:ml-0 h-6 items-center gap-1.5 rounded-sm border bg-surface px-0.5 pr-1.5 align-middle font-sans text-sm whitespace-nowrap hover:border-faint",
            picture.problem ? "border-bad text-bad" : "border-line-strong text-muted",
          )}
        >
          <Thumbnail
            picture={{ ...picture, name: "" }}
            className="h-5 max-w-12 min-w-4 rounded-[2px]"
          />
          {tokens || picture.name}
        </button>
      }
    >
      <LargePicture picture={picture} />
    </Popover>
  );
}

function LargePicture({ picture }: { picture: ShownPicture }) {
  return (
    <figure className="num flex w-64 flex-col gap-1.5 text-sm">
      <Thumbnail picture={picture} className="min-h-24 w-full rounded-sm" />
      <figcaption className="text-muted">
        <span className="text-ink">{picture.name}</span>
        {picture.width && picture.height ? `, ${picture.width} × ${picture.height} pixels` : ""}
        {tokensText(picture) ? `, ${tokensText(picture)}` : ""}
        {picture.problem ? <span className="block text-bad">{picture.problem}</span> : null}
      </figcaption>
    </figure>
  );
}

function tokensText({ numTokens }: ShownPicture): string {
  return numTokens ? `${formatCount(numTokens)} tokens` : "";
}
