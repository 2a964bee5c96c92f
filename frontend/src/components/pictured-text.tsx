import { Fragment } from "react";
import { PictureChip, type ShownPicture } from "@/components/picture";
import { placeInText } from "@/components/picture-places";

interface PicturedTextProps {
  text: string;
  pictures: readonly ShownPicture[];
}

/** Words with a chip for each picture, where the picture stands. */
export function PicturedText({ text, pictures }: PicturedTextProps) {
  return placeInText(text, pictures.length).map((piece, index) => {
    const picture = typeof piece === "number" ? pictures[piece] : undefined;
    // biome-ignore lint/suspicious/noArrayIndexKey: a piece is its place
    return <Fragment key={index}>{picture ? <PictureChip picture={picture} /> : piece}</Fragment>;
  });
}
