/** Pictures that go with a question: which files are taken, and what is said of the others. */
import type { AskedMessage, SentPicture } from "@/api/types";
import { formatBytes } from "@/components/format";

/** What can be decoded, as browsers name it. */
export const PICTURE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif"];
export const MOST_PICTURES = 8;
/** Of all files together: they go with the question, as four bytes of text for every three. */
export const MOST_BYTES = 10_000_000;

/** A picture of the question: where it is shown from, and as what it is sent. */
export interface Attachment {
  id: number;
  name: string;
  src: string;
  /** Zero where it is of a set, which the backend reads itself. */
  numBytes: number;
  sent: SentPicture;
}

/** What has to be known of a file before it is read. */
export type Offered = Pick<File, "name" | "type" | "size">;

export interface Admission<T> {
  taken: T[];
  /** Why the others are not taken; empty where all are. */
  refusal: string;
}

/** Takes what can be read as pictures, as many and as large as one question may have. */
export function admit<T extends Offered>(
  known: readonly Pick<Attachment, "numBytes">[],
  offered: readonly T[],
): Admission<T> {
  const taken: T[] = [];
  const refusals: string[] = [];
  let numBytes = known.reduce((sum, each) => sum + each.numBytes, 0);
  for (const file of offered) {
    if (!PICTURE_TYPES.includes(file.type)) {
      refusals.push(`${file.name} is no PNG, JPEG, WebP, BMP or GIF.`);
    } else if (known.length + taken.length >= MOST_PICTURES) {
      refusals.push(`${file.name} is one too many: a question has at most ${MOST_PICTURES}.`);
    } else if (numBytes + file.size > MOST_BYTES) {
      refusals.push(
        `${file.name} has ${formatBytes(file.size)}: all pictures of a question have at most ${formatBytes(MOST_BYTES)}.`,
      );
    } else {
      taken.push(file);
      numBytes += file.size;
    }
  }
  return { taken, refusal: refusals.join(" ") };
}

/** A file in base64 behind its type, as questions carry it. */
export function readDataUri(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });
}

/** Words and pictures as they are asked; pictures stand in front, or where the words mark them. */
export function messageOf(
  words: string,
  pictures: readonly Pick<Attachment, "sent">[],
): AskedMessage {
  return { role: "user", content: words, pictures: pictures.map(({ sent }) => sent) };
}
