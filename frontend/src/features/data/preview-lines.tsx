import { useState } from "react";
import { setPicture } from "@/api/pictures";
import type { PreviewItem } from "@/api/types";
import { Button } from "@/components/button";
import { formatCount } from "@/components/format";
import { PictureChip, type ShownPicture, Thumbnail } from "@/components/picture";
import { isPicture, placeInTokens } from "@/components/picture-places";

interface PreviewLinesProps {
  setId: string;
  items: readonly PreviewItem[];
}

/** Lines of a file as they are, and as a model reads them where one is chosen. */
export function PreviewLines({ setId, items }: PreviewLinesProps) {
  return (
    <ul className="divide-y">
      {items.map((item) => (
        <PreviewLine key={item.line} item={item} pictures={picturesOf(setId, item)} />
      ))}
    </ul>
  );
}

/** A line's pictures as they are shown; those of the set's file are asked for by their numbers. */
export function picturesOf(setId: string, { line, pictures }: PreviewItem): ShownPicture[] {
  return (pictures ?? []).map(({ number, width, height, num_tokens, problem }) => ({
    src: setPicture(setId, line, number),
    name: `Picture ${number}`,
    width,
    height,
    numTokens: num_tokens,
    problem,
  }));
}

interface PreviewLineProps {
  item: PreviewItem;
  pictures: readonly ShownPicture[];
}

function PreviewLine({ item, pictures }: PreviewLineProps) {
  const tokens = item.tokens ?? [];
  const broken = pictures.filter(({ problem }) => problem);
  return (
    <li className="flex gap-3 px-3 py-2">
      <span className="num w-10 shrink-0 text-right text-faint">{item.line}</span>
      {pictures[0] ? (
        <Thumbnail
          picture={{ ...pictures[0], name: `First picture of line ${item.line}` }}
          className="size-16 shrink-0 rounded-sm border"
        />
      ) : null}
      <div className="min-w-0">
        {item.problem ? <p className="text-bad">{item.problem.message}</p> : null}
        {broken.map(({ name, problem }) => (
          <p key={name} className="text-bad">
            {problem}
          </p>
        ))}
        <p className="line-clamp-3 whitespace-pre-wrap">{item.text}</p>
        {item.answer ? <p className="text-muted">Answer: {item.answer}</p> : null}
        {tokens.length > 0 ? (
          <Tokens tokens={tokens} pictures={pictures} />
        ) : (
          <p>
            {pictures.map((picture) => (
              <PictureChip key={picture.name} picture={picture} />
            ))}
          </p>
        )}
      </div>
      {item.num_tokens ? (
        <span className="num ml-auto shrink-0 text-muted">
          {formatCount(item.num_tokens)} tokens
        </span>
      ) : null}
    </li>
  );
}

// A longer line would push the next ones out of sight.
const SHORT_TOKENS = 120;

interface TokensProps {
  tokens: readonly string[];
  pictures: readonly ShownPicture[];
}

/** The line as the template renders it, every other token shaded; a long one opens. */
function Tokens({ tokens, pictures }: TokensProps) {
  const [isOpen, setOpen] = useState(tokens.length <= SHORT_TOKENS);
  const pieces = placeInTokens(tokens, pictures.length);
  const shown = isOpen ? pieces : pieces.slice(0, SHORT_TOKENS);
  return (
    <>
      <p className="mt-1 rounded-sm bg-sunken p-1 font-mono text-sm break-words whitespace-pre-wrap">
        {shown.map((piece, index) => {
          const picture = isPicture(piece) ? pictures[piece] : undefined;
          return picture ? (
            <PictureChip key={picture.name} picture={picture} />
          ) : (
            // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
            <span key={index} className={index % 2 === 0 ? "" : "bg-selected"}>
              {piece}
            </span>
          );
        })}
      </p>
      {isOpen ? null : (
        <Button size="sm" className="mt-1" onClick={() => setOpen(true)}>
          Show all
        </Button>
      )}
    </>
  );
}
