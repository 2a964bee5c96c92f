/** Weighs what a browser loads before the first page shows, and looks for addresses elsewhere. */
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT_KB = 400;
const DIST = new URL("../dist/", import.meta.url);

const html = readFileSync(new URL("index.html", DIST), "utf8");
const loaded = [...html.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map((match) => match[1]);
const kb = loaded
  .map((file) => gzipSync(readFileSync(new URL(file, DIST))).length / 1000)
  .reduce((sum, each) => sum + each, 0);
console.log(`First load: ${kb.toFixed(0)} kB gzipped of ${LIMIT_KB}, in ${loaded.length} files.`);
if (loaded.length === 0 || kb > LIMIT_KB) {
  console.error(
    "Load what the first page does not need later: routes are split in app/router.tsx.",
  );
  process.exit(1);
}

const styles = readdirSync(new URL("assets/", DIST)).filter((file) => file.endsWith(".css"));
const fetched = [
  html,
  ...styles.map((file) => readFileSync(new URL(`assets/${file}`, DIST), "utf8")),
].flatMap((text) => text.match(/(?:url\(|src="|href=")["']?(?:https?:)?\/\/[^"')]+/g) ?? []);
if (fetched.length > 0) {
  console.error(`The page would load from the network: ${fetched.join(", ")}`);
  process.exit(1);
}
