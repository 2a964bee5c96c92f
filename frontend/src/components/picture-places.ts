/** Where pictures stand: in words, and among the tokens of a rendered prompt. */

/** What prompts write where a picture stands. */
const MARK = "<image>";
/** What templates write there: one placeholder between two markers. */
const PLACEHOLDER = "<|image_pad|>";
const OPENED = "<|vision_start|>";
const CLOSED = "<|vision_end|>";

/** Words, or the number of a picture from 0. */
export type Piece = string | number;

export function isPicture(piece: Piece): piece is number {
  return typeof piece === "number";
}

/** Words with pictures in the places of their marks; all in front where the two do not fit. */
export function placeInText(text: string, numPictures: number): Piece[] {
  const words = text.split(MARK);
  if (numPictures === 0 || words.length - 1 !== numPictures) {
    return [...Array.from({ length: numPictures }, (_, number) => number), text];
  }
  return words
    .flatMap((each, number): Piece[] => (number === 0 ? [each] : [number - 1, each]))
    .filter((piece) => piece !== "");
}

/** Tokens with pictures for their placeholders; one that no picture is left for stays words. */
export function placeInTokens(tokens: readonly string[], numPictures: number): Piece[] {
  let next = 0;
  return tokens.map((token, index) => {
    const isPlace =
      token === PLACEHOLDER && tokens[index - 1] === OPENED && tokens[index + 1] === CLOSED;
    return isPlace && next < numPictures ? next++ : token;
  });
}
