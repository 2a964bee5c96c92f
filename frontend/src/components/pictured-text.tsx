import { Fragment } from "react";
import { PictureChip, type ShownPicture } from "@/components/picture";
import { isPicture, placeInText } from "@/components/picture-places";

interface PicturedTextProps {
  text: string;
  pictures: readonly ShownPicture[];
}

/** Words with a chip for each picture, where the picture stands. */
export function PicturedText({ text, pictures }: PicturedTextProps) {
  return placeInText(text, pictures.length).map((piece, index) => {
    const picture = isPicture(piece) ? pictures[piece] : undefined;
    // biome-ignore lint/suspicious/noArrayIndexKey: a piece is its place
    return <Fragment key={index}>{picture ? <PictureChip picture={picture} /> : piece}</Fragment>;
  });
}
