import { expect, test } from "vitest";
import { toCsv } from "@/components/download";

test("cells with commas, quotes and line ends are quoted, and nothing is written as null", () => {
  expect(
    toCsv(
      ["a", "b"],
      [
        ["x,y", 'say "hi"'],
        [null, "one\ntwo"],
      ],
    ),
  ).toBe('a,b\n"x,y","say ""hi"""\n,"one\ntwo"\n');
});
