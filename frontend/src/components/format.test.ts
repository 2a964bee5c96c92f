import { expect, test } from "vitest";
import {
  formatAgo,
  formatBytes,
  formatDuration,
  formatNumber,
  formatPercent,
  formatPlural,
  formatProbability,
} from "@/components/format";

test("numbers keep four digits and lose their trailing zeros", () => {
  expect(formatNumber(0.123456)).toBe("0.1235");
  expect(formatNumber(12.5)).toBe("12.5");
  expect(formatNumber(1234.56)).toBe("1,235");
  expect(formatNumber(0)).toBe("0");
});

test("tiny and huge numbers are written as powers of ten", () => {
  expect(formatNumber(0.00001)).toBe("1.00e-5");
  expect(formatNumber(25_000_000)).toBe("2.50e7");
});

test("one of a thing stands in the singular", () => {
  expect([0, 1, 2000].map((count) => formatPlural(count, "run"))).toEqual([
    "0 runs",
    "1 run",
    "2,000 runs",
  ]);
});

test("what is not there is a dash, never zero", () => {
  expect(formatNumber(null)).toBe("–");
  expect(formatPercent(undefined)).toBe("–");
  expect(formatDuration(null)).toBe("–");
});

test("a negative number has a minus sign as wide as a digit", () => {
  expect(formatNumber(-2.5)).toBe("\u22122.5");
});

test("durations have two units at most", () => {
  expect(formatDuration(3.21)).toBe("3.2 s");
  expect(formatDuration(75)).toBe("75 s");
  expect(formatDuration(60 * 12)).toBe("12 min");
  expect(formatDuration(3600 * 3 + 300)).toBe("3 h 5 min");
  expect(formatDuration(3600 * 52)).toBe("2 d 4 h");
});

test("bytes are decimal", () => {
  expect(formatBytes(0)).toBe("0 B");
  expect(formatBytes(1_500_000)).toBe("1.5 MB");
  expect(formatBytes(18_400_000_000)).toBe("18.4 GB");
});

test("the past is told in one unit and after a week as a date", () => {
  expect(formatAgo(1000, 1010)).toBe("just now");
  expect(formatAgo(1000, 1000 + 300)).toBe("5 min ago");
  expect(formatAgo(1000, 1000 + 7200)).toBe("2 h ago");
  expect(formatAgo(0, 30 * 86_400)).toContain("1970");
});

test("a probability that would round to nothing says that it is small", () => {
  expect(formatProbability(0.9984)).toBe("99.8");
  expect(formatProbability(1e-8)).toBe("<0.1");
  expect(formatProbability(0)).toBe("0.0");
});
