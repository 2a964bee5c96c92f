import { expect, test } from "vitest";
import { intervalText, withInterval } from "@/components/interval";

test("an interval is read from low to high, shares in percent", () => {
  expect(intervalText({ low: 0.06412, high: 0.1772 })).toBe("0.064 to 0.177");
  expect(intervalText({ low: 0.708, high: 0.86 }, "share")).toBe("70.8 to 86.0");
  expect(withInterval("0.115", { low: 0.064, high: 0.177 })).toBe("0.115 (0.064 to 0.177)");
});

test("a figure without an interval stands alone", () => {
  expect(intervalText(null)).toBe("");
  expect(withInterval("0.115", undefined)).toBe("0.115");
});
