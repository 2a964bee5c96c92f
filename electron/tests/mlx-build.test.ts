import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { isAccelerated, type Machine, mlxEnvironment } from "../src/mlx-build.js";

const ROOT = resolve(import.meta.dirname, "..");

function on(kernel: string, chip: string, wish = ""): Machine {
  return { kernel, chip, wish };
}

test.each([
  ["25.2.0", "Apple M5"],
  ["25.5.0", "Apple M5 Max"],
  ["27.0.0", "Apple M6 Pro"],
  ["25.2.0", "Apple M10"],
])("on kernel %s an %s uses its accelerators", (kernel, chip) => {
  expect(isAccelerated(on(kernel, chip))).toBe(true);
});

test.each([
  ["25.1.0", "Apple M5", "macOS 26.1 does not have what the build needs"],
  ["24.6.0", "Apple M5", "nor has macOS 15"],
  ["25.2.0", "Apple M4 Max", "an M4 has no accelerators"],
  ["25.2.0", "Apple A19 Pro", "a chip of another series is not guessed at"],
  ["", "", "nor is a machine that says nothing"],
])("on kernel %s an %s keeps the build for macOS 14: %s", (kernel, chip) => {
  expect(isAccelerated(on(kernel, chip))).toBe(false);
});

test("the user's word counts, but not where the build cannot run", () => {
  expect(isAccelerated(on("25.2.0", "Apple M5", "plain"))).toBe(false);
  expect(isAccelerated(on("25.2.0", "Apple M4", "accelerated"))).toBe(true);
  expect(isAccelerated(on("25.1.0", "Apple M5", "accelerated"))).toBe(false);
});

test("the folder that Python is led to is packed, and built before", () => {
  const { PYTHONPATH } = mlxEnvironment("/Resources", on("25.2.0", "Apple M5"));
  expect(mlxEnvironment("/Resources", on("25.2.0", "Apple M4"))).toEqual({});
  const packed = JSON.parse(readFileSync(join(ROOT, "electron-builder.json"), "utf8")) as {
    extraResources: { from: string; to: string }[];
  };
  const found = packed.extraResources.find(({ to }) => join("/Resources", to) === PYTHONPATH);
  expect(found?.from).toBe("build/mlx-accelerated");
  const script = readFileSync(join(ROOT, "scripts/bundle-python.sh"), "utf8");
  expect(script).toContain('"$work/mlx-accelerated"');
});
