import { expect, test } from "vitest";
import { reachOf } from "@/api/reach";

test("a refused token is told from a backend that is gone", () => {
  expect(reachOf(401)).toBe("refused");
  expect(reachOf(502)).toBe("gone");
  expect(reachOf(200)).toBe("there");
});
