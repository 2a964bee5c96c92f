import { useRef, useState } from "react";
import { setPicture } from "@/api/pictures";
import type { PreviewItem } from "@/api/types";
import {
  type Attachment,
  admit,
  MOST_PICTURES,
  readDataUri,
} from "@/features/playground/attachments";

type New = Omit<Attachment, "id">;

/** The pictures of the next question, in the order in which they were added. */
export function useAttachments() {
  const [pictures, setPictures] = useState<readonly Attachment[]>([]);
  const [refusal, setRefusal] = useState("");
  const next = useRef(0);
  const numbered = (each: New): Attachment => ({ ...each, id: next.current++ });

  async function add(files: readonly File[]) {
    const { taken, refusal: said } = admit(pictures, files);
    setRefusal(said);
    try {
      const read = await Promise.all(taken.map(ofFile));
      setPictures((before) => [...before, ...read.map(numbered)]);
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "A file could not be read.");
    }
  }

  /** The pictures of a line, in place of all others. */
  function takeLine(setId: string, item: PreviewItem) {
    setRefusal("");
    setPictures(ofLine(setId, item).map(numbered));
  }

  function remove(id: number) {
    setRefusal("");
    setPictures((before) => before.filter((picture) => picture.id !== id));
  }

  /** These in place of all others; none after a question was sent. */
  function put(these: readonly Attachment[]) {
    setRefusal("");
    setPictures(these.map(numbered));
  }
  return { pictures, refusal, add, takeLine, remove, put };
}

export type Attachments = ReturnType<typeof useAttachments>;

async function ofFile(file: File): Promise<New> {
  const data = await readDataUri(file);
  return { name: file.name, src: data, numBytes: file.size, sent: { kind: "data", data } };
}

function ofLine(setId: string, { line, pictures }: PreviewItem): New[] {
  return (pictures ?? []).slice(0, MOST_PICTURES).map(({ number }) => ({
    name: `line ${line}, picture ${number}`,
    src: setPicture(setId, line, number),
    numBytes: 0,
    sent: { kind: "set", set_id: setId, line, number },
  }));
}
