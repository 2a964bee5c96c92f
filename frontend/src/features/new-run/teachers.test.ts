import { expect, test } from "vitest";
import type { FormField } from "@/api/types";
import {
  firstTeachers,
  kindOfTeacher,
  mistakeIn,
  partsFor,
  sampleLine,
  type Teacher,
  teacherInWords,
  teachersIn,
  turned,
  withOneMore,
  without,
  withPart,
} from "@/features/new-run/teachers";

/** As a run's config has them: every setting is there. */
const ENDPOINT = { url: "http://mac:8100", model: "big", server: "opd", key_env: "K", top_k: 20 };
const WRITTEN: Teacher[] = [
  { name: "math", model: "qwen3-8b", endpoint: null, student_copy: null },
  { name: "law", model: null, endpoint: ENDPOINT, student_copy: null },
  { name: "self", model: null, endpoint: null, student_copy: { refresh_every: 20 } },
];

test("teachers that a file wrote are the ones that the form shows, and go back as they came", () => {
  const shown = teachersIn(JSON.parse(JSON.stringify(WRITTEN)));
  expect(shown.map(kindOfTeacher)).toEqual(["model", "endpoint", "student_copy"]);
  expect(shown.map(teacherInWords)).toEqual([
    "qwen3-8b",
    "big at http://mac:8100",
    "copy of the student, new every 20 steps",
  ]);
  const kinds = shown.map((teacher) => turned(teacher, kindOfTeacher(teacher)));
  expect(kinds).toEqual(WRITTEN);
  expect(withPart(withPart(shown, 1, "endpoint.top_k", 5), 1, "endpoint.top_k", 20)).toEqual(
    WRITTEN,
  );
  expect(teachersIn(null)).toEqual([]);
});

test("a setting of one teacher changes that one alone", () => {
  const changed = withPart(WRITTEN, 1, "endpoint.top_k", 5);
  expect(changed[1]).toEqual({ ...WRITTEN[1], endpoint: { ...ENDPOINT, top_k: 5 } });
  expect([changed[0], changed[2]]).toEqual([WRITTEN[0], WRITTEN[2]]);
  expect(without(WRITTEN, 0)).toEqual(WRITTEN.slice(1));
});

test("another kind of teacher keeps the name and nothing of what it was", () => {
  const law = turned({ ...WRITTEN[0] }, "endpoint");
  expect(law).toEqual({ name: "math", endpoint: { url: null, model: null } });
  expect(kindOfTeacher(law)).toBe("endpoint");
  expect(turned(law, "student_copy")).toEqual({
    name: "math",
    student_copy: { refresh_every: 50 },
  });
});

test("the first of several teachers is the one there was, and a new name is free", () => {
  const teachers = firstTeachers("tiny-teacher");
  expect(teachers[0]).toEqual({ name: "first", model: "tiny-teacher" });
  expect(withOneMore(teachers)[2]).toEqual({ name: "third", model: null });
  expect(withOneMore(without(teachers, 0))[1]?.["name"]).toBe("first");
});

const nameMistake = (name: string) => mistakeIn("name", name);

test("what is missing is said before the run is checked", () => {
  expect(mistakeIn("model", null)).toMatch(/Choose a model/);
  expect(mistakeIn("endpoint.url", "")).toMatch(/where it is served/);
  expect(mistakeIn("endpoint.url", "http://mac:8100")).toBeUndefined();
  expect(mistakeIn("endpoint.key_env", null)).toBeUndefined();
});

test("a name is what a line of the prompt file can say", () => {
  expect(["math", "Größe 2", "a.b+c-d_e"].map(nameMistake)).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(nameMistake(" ")).toMatch(/Give it a name/);
  expect([".math", "a/b", "x".repeat(41)].map((name) => nameMistake(name) === undefined)).toEqual([
    false,
    false,
    false,
  ]);
  expect(sampleLine(WRITTEN)).toBe('{"prompt":"What is 7 times 8?","teacher":"math"}');
});

test("each kind of teacher is asked for its own settings", () => {
  const part = (name: string) => ({ key: `distillation.teachers.${name}` }) as FormField;
  const names = ["name", "model", "endpoint.url", "endpoint.model", "student_copy.refresh_every"];
  const field = { key: "distillation.teachers", parts: names.map(part) } as FormField;
  const keys = (kind: "model" | "endpoint" | "student_copy") =>
    partsFor(field, kind).map(({ key }) => key.replace("distillation.teachers.", ""));
  expect(keys("model")).toEqual(["name", "model"]);
  expect(keys("endpoint")).toEqual(["name", "endpoint.url", "endpoint.model"]);
  expect(keys("student_copy")).toEqual(["name", "student_copy.refresh_every"]);
});
