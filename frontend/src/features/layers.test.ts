import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

type Graph = ReadonlyMap<string, ReadonlySet<string>>;

const SOURCES = fileURLToPath(new URL("..", import.meta.url));
const IMPORT = /(?:from|import)\s*\(?\s*"@\/([^"]+)"/g;

/** What each file of the screen imports of the screen, without endings. */
function importsOfFiles(): Graph {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file) && !/\.(test|d)\.ts$/.test(file))
    .map((file) => join(SOURCES, file));
  return new Map(
    files.map((file) => {
      const found = readFileSync(file, "utf8").matchAll(IMPORT);
      const name = relative(SOURCES, file).replace(/\.tsx?$/, "");
      return [name, new Set([...found].map(([, target = ""]) => target))];
    }),
  );
}

/** The same between features, each of which is a folder. */
function importsOfFeatures(files: Graph): Graph {
  const featureOf = (name: string) => /^features\/([^/]+)\//.exec(name)?.[1];
  const graph = new Map<string, Set<string>>();
  for (const [name, targets] of files) {
    const feature = featureOf(name);
    if (feature === undefined) {
      continue;
    }
    const known = graph.get(feature) ?? new Set();
    graph.set(feature, known);
    for (const target of targets) {
      const other = featureOf(target);
      if (other !== undefined && other !== feature) {
        known.add(other);
      }
    }
  }
  return graph;
}

/** A way through the graph that ends where it began, or null where there is none. */
function cycleIn(graph: Graph): string[] | null {
  const done = new Set<string>();
  const visit = (node: string, way: readonly string[]): string[] | null => {
    if (way.includes(node)) {
      return [...way.slice(way.indexOf(node)), node];
    }
    if (done.has(node)) {
      return null;
    }
    for (const next of graph.get(node) ?? []) {
      const found = visit(next, [...way, node]);
      if (found) {
        return found;
      }
    }
    done.add(node);
    return null;
  };
  for (const node of graph.keys()) {
    const found = visit(node, []);
    if (found) {
      return found;
    }
  }
  return null;
}

test("a cycle is found however long it is, and a shared target is none", () => {
  const graph = (edges: Record<string, string[]>) =>
    new Map(Object.entries(edges).map(([from, to]) => [from, new Set(to)]));
  expect(cycleIn(graph({ a: ["b", "c"], b: ["c"], c: [] }))).toBeNull();
  expect(cycleIn(graph({ a: ["b"], b: ["a"] }))).toEqual(["a", "b", "a"]);
  expect(cycleIn(graph({ x: ["a"], a: ["b"], b: ["c"], c: ["a"] }))).toEqual(["a", "b", "c", "a"]);
});

test("no feature imports one that imports it, directly or through others", () => {
  const features = importsOfFeatures(importsOfFiles());
  expect(features.get("run")).toContain("runs");
  expect(cycleIn(features)).toBeNull();
});

test("no file of the screen imports one that imports it", () => {
  const files = importsOfFiles();
  expect(files.size).toBeGreaterThan(150);
  expect(cycleIn(files)).toBeNull();
});
