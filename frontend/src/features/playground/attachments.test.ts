import { expect, test } from "vitest";
import { admit, MOST_BYTES, MOST_PICTURES, messageOf } from "@/features/playground/attachments";

function file(name: string, size = 1000, type = "image/png") {
  return { name, size, type };
}

test("pictures are taken and other files are refused by name", () => {
  const { taken, refusal } = admit([], [file("a.png"), file("b.pdf", 10, "application/pdf")]);
  expect(taken.map(({ name }) => name)).toEqual(["a.png"]);
  expect(refusal).toBe("b.pdf is no PNG, JPEG, WebP, BMP or GIF.");
  expect(admit([], [file("c.svg", 10, "image/svg+xml")]).taken).toEqual([]);
});

test("a question has a bounded number of pictures, those that it has included", () => {
  const known = Array.from({ length: MOST_PICTURES - 1 }, () => ({ numBytes: 1 }));
  const { taken, refusal } = admit(known, [file("last.png"), file("over.png")]);
  expect(taken.map(({ name }) => name)).toEqual(["last.png"]);
  expect(refusal).toMatch(/^over.png is one too many/);
});

test("all pictures of a question together are bounded in bytes", () => {
  const { taken, refusal } = admit(
    [{ numBytes: MOST_BYTES - 1000 }],
    [file("large.png", 2000), file("small.png", 1000)],
  );
  expect(taken.map(({ name }) => name)).toEqual(["small.png"]);
  expect(refusal).toMatch(/^large.png has 2 KB/);
});

test("a question carries its pictures in their order, those of sets by their places", () => {
  const set = { kind: "set", set_id: "geo-1", line: 3, number: 1 } as const;
  const data = { kind: "data", data: "data:image/png;base64,AAAA" } as const;
  expect(messageOf("How wide?", [{ sent: set }, { sent: data }])).toEqual({
    role: "user",
    content: "How wide?",
    pictures: [set, data],
  });
});
