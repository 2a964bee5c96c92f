import { expect, test } from "vitest";
import type { PromptSet } from "@/api/types";
import { setOf } from "@/features/data/set.fixture";
import {
  foundSets,
  isPending,
  nextSetSort,
  sortedSets,
  stateOf,
  uncheckedSets,
} from "@/features/data/set-rows";

type Look = NonNullable<PromptSet["look"]>;

function seen(id: string, look: Partial<Look>): PromptSet {
  const counts = { num_lines: 10, num_usable: 10, num_answers: 0, num_duplicates: 0 };
  const whole: Look = {
    verdict: "ok",
    problem: null,
    num_errors: 0,
    num_warnings: 0,
    looked: 0,
    ...counts,
    ...look,
  };
  return setOf(id, id, { look_state: "seen", look: whole });
}

const GOOD = seen("good", { num_lines: 30 });
const ODD = seen("odd", { verdict: "warning", num_duplicates: 4 });
const BROKEN = seen("broken", { verdict: "error", num_usable: 9 });
const NEW = setOf("new", "new");

test("a set's state is a word, and what is wrong with it a sentence", () => {
  expect([GOOD, ODD, BROKEN, NEW].map((set) => stateOf(set).word)).toEqual([
    "Usable",
    "With warnings",
    "Not usable",
    "Not checked",
  ]);
  expect(stateOf(BROKEN).why).toBe("1 line of 10 cannot be used.");
  expect(stateOf(seen("x", { verdict: "error", problem: "No parquet." })).why).toBe("No parquet.");
  expect(stateOf({ ...GOOD, is_here: false }).word).toBe("Not there");
  expect(stateOf({ ...NEW, look_state: "waiting" }).word).toBe("Waiting");
});

test("what needs a person comes first, and what is not known yet last both ways", () => {
  const ids = (sort: string | undefined) =>
    sortedSets([GOOD, NEW, ODD, BROKEN], sort).map(({ id }) => id);
  expect(ids("state")).toEqual(["broken", "odd", "new", "good"]);
  expect(ids("-lines")).toEqual(["good", "odd", "broken", "new"]);
  expect(ids("lines")).toEqual(["odd", "broken", "good", "new"]);
  expect(ids("-duplicates")[0]).toBe("odd");
  expect(ids(undefined)).toEqual(["good", "new", "odd", "broken"]);
  expect(ids("nonsense")).toEqual(["good", "new", "odd", "broken"]);
});

test("a press on a column sorts one way, the other way, and not at all", () => {
  const presses = (key: "name" | "size") => {
    const first = nextSetSort(undefined, key);
    const second = nextSetSort(first, key);
    return [first, second, nextSetSort(second, key)];
  };
  expect(presses("size")).toEqual(["-size", "size", undefined]);
  expect(presses("name")).toEqual(["name", "-name", undefined]);
});

test("sets are found by words of their name, kind and path", () => {
  const text = setOf("t", "Prompt", { kind: "text", path: "/data/Languages/prompt.md" });
  expect(foundSets([GOOD, text], "languages TEXT")).toEqual([text]);
  expect(foundSets([GOOD, text], " ")).toEqual([GOOD, text]);
});

test("only what is there and waits for nobody is offered to be checked", () => {
  const waiting = { ...NEW, look_state: "waiting" as const };
  expect(uncheckedSets([GOOD, NEW, waiting, { ...NEW, is_here: false }])).toEqual([NEW]);
  expect([GOOD, NEW, waiting].map(isPending)).toEqual([false, false, true]);
});
