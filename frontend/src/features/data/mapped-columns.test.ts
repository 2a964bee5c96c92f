import { describe, expect, it } from "vitest";
import { givenTwice, mappingOf, UNUSED } from "@/features/data/mapped-columns";

describe("columns named by hand", () => {
  it("are sent by what they are, without those that mean nothing", () => {
    expect(mappingOf({ frage: "prompt", antwort: "completion", id: UNUSED })).toEqual({
      prompt: "frage",
      completion: "antwort",
    });
  });

  it("cannot be two of one kind", () => {
    expect(givenTwice({ a: "prompt", b: "prompt", c: UNUSED })).toBe("prompt");
    expect(givenTwice({ a: UNUSED, b: UNUSED, c: "prompt" })).toBeUndefined();
  });
});
