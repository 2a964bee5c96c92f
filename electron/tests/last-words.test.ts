import { expect, test } from "vitest";
import { diagnose } from "../src/diagnosis.js";
import { lastWords } from "../src/last-words.js";

const TRACEBACK = [
  "Traceback (most recent call last):",
  '  File "/A/backend/server.py", line 3, in <module>',
  "    import uvicorn",
];

test.each([
  ["ModuleNotFoundError: No module named 'uvicorn'", "lacks the package uvicorn"],
  ["OSError: [Errno 28] No space left on device", "The disk is full"],
  ["PermissionError: [Errno 13] Permission denied: '/w/index.sqlite'", "/w/index.sqlite"],
  ["OSError: [Errno 48] Address already in use", "Another program holds its port"],
  ["ImportError: dlopen(mlx.so): Library not loaded: @rpath/libmlx.dylib", "does not fit this Mac"],
  ["sqlite3.OperationalError: database is locked", "Another program holds its workspace"],
])("%s is said in words", (line, sentence) => {
  expect(lastWords([...TRACEBACK, line])).toContain(sentence);
});

test("an error that nobody knows is named, and asks for a report", () => {
  expect(lastWords([...TRACEBACK, "KeyError: 'a'"])).toBe(
    "It ended by an error of its own (KeyError: 'a'). Copy the log into a report of the error.",
  );
});

test("a sentence of the program's own is taken as it is, and the last one counts", () => {
  const log = ["ValueError: old", "opd: /w is another program's workspace. Choose another.", ""];
  expect(lastWords(log)).toBe("/w is another program's workspace. Choose another.");
});

test("a log without an error gives no reason", () => {
  expect(lastWords(["serving", "GET /"])).toBeNull();
});

test("the page leads with the reason and not with a traceback", () => {
  const ending = { code: 1, signal: null, error: null };
  const log = [...TRACEBACK, "ModuleNotFoundError: No module named 'uvicorn'"];
  const shown = diagnose({ kind: "failed", ending }, log);
  expect(shown.why).toContain("Install the app again");
  expect(`${shown.what}${shown.detail}${shown.why}`).not.toContain("Traceback");
  expect(shown.log).toEqual(log);
});
