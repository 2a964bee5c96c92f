import type { ConfigValues, FormField } from "@/api/types";
import { isMapping, type Setting, settingOf, withSetting } from "@/features/new-run/draft";

/** One of several teachers, as a config has it; what the form does not show stays as it is. */
export type Teacher = ConfigValues;
export type TeacherKind = "model" | "endpoint" | "student_copy";

export const TEACHER_KINDS: readonly { value: TeacherKind; label: string }[] = [
  { value: "model", label: "Model" },
  { value: "endpoint", label: "On a server" },
  { value: "student_copy", label: "Copy of the student" },
];

const REFRESH_EVERY = 50;
const NEW: Readonly<Record<TeacherKind, Setting>> = {
  model: null,
  endpoint: { url: null, model: null },
  student_copy: { refresh_every: REFRESH_EVERY },
};
/** As the library has it, which says the same with a pattern. */
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_ .+-]{0,39}$/u;
const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

/** The teachers of a draft; none where one teacher grades everything. */
export function teachersIn(value: Setting | undefined): readonly Teacher[] {
  return Array.isArray(value) ? value.filter(isMapping) : [];
}

/** The teachers of a method's block. */
export function teachersOf(config: ConfigValues, block: string): readonly Teacher[] {
  return teachersIn(settingOf(config, `${block}.teachers`));
}

export function kindOfTeacher(teacher: Teacher): TeacherKind {
  const isGiven = (kind: TeacherKind) => (teacher[kind] ?? null) !== null;
  return isGiven("student_copy") ? "student_copy" : isGiven("endpoint") ? "endpoint" : "model";
}

/** The same teacher as another kind; its name stays, and so does what it is already. */
export function turned(teacher: Teacher, kind: TeacherKind): Teacher {
  if (kindOfTeacher(teacher) === kind) {
    return teacher;
  }
  return { name: teacher["name"] ?? "", [kind]: NEW[kind] };
}

/** Two teachers to begin with: the one of the draft, and one to be named. */
export function firstTeachers(model: Setting | undefined): Teacher[] {
  return [
    { name: "first", model: model ?? null },
    { name: "second", model: null },
  ];
}

/** The teachers and one more, under a name that is free. */
export function withOneMore(teachers: readonly Teacher[]): Teacher[] {
  const taken = new Set(teachers.map(({ name }) => name));
  const free = ORDINALS.find((name) => !taken.has(name));
  return [...teachers, { name: free ?? `teacher ${teachers.length + 1}`, model: null }];
}

export function without(teachers: readonly Teacher[], index: number): Teacher[] {
  return teachers.filter((_, place) => place !== index);
}

/** The teachers with a setting of one replaced; `part` is dotted, within the teacher. */
export function withPart(
  teachers: readonly Teacher[],
  index: number,
  part: string,
  value: Setting,
): Teacher[] {
  return teachers.map((teacher, place) =>
    place === index ? withSetting(teacher, part, value) : teacher,
  );
}

/** The settings of an entry that mean something for its kind. */
export function partsFor(field: FormField, kind: TeacherKind): FormField[] {
  return field.parts.filter(({ key }) => {
    const part = partOf(field, key);
    return part === "name" || part === kind || part.startsWith(`${kind}.`);
  });
}

/** A part's key within its entry. */
export function partOf(field: FormField, key: string): string {
  return key.slice(field.key.length + 1);
}

/** What is missing in a part of a teacher, or wrong with it, before anybody else has to say so. */
export function mistakeIn(part: string, value: Setting | undefined): string | undefined {
  const text = String(value ?? "");
  if (part === "name") {
    return nameMistake(text);
  }
  return text === "" ? MISSING[part] : undefined;
}

const MISSING: Readonly<Record<string, string>> = {
  model: "Choose a model: its alias, hub id or folder.",
  "endpoint.url": "Say where it is served, such as http://192.168.1.20:8100.",
  "endpoint.model": "Say what that server calls the teacher.",
};

/** What is wrong with a teacher's name. */
function nameMistake(name: string): string | undefined {
  if (name.trim() === "") {
    return "Give it a name: lines of the prompt file name it.";
  }
  return NAME.test(name)
    ? undefined
    : "Letters, digits, spaces and . + - _ only, 40 at most, and a letter or digit first.";
}

/** Who a teacher is. */
export function teacherInWords(teacher: Teacher): string {
  const kind = kindOfTeacher(teacher);
  if (kind === "endpoint") {
    const model = settingOf(teacher, "endpoint.model") || "a model";
    return `${model} at ${settingOf(teacher, "endpoint.url") || "a server"}`;
  }
  const steps = settingOf(teacher, "student_copy.refresh_every");
  return kind === "model"
    ? String(teacher["model"] || "no model yet")
    : `copy of the student, new every ${steps === 1 ? "step" : `${steps} steps`}`;
}

/** A line of a prompt file that names a teacher. */
export function sampleLine(teachers: readonly Teacher[]): string {
  const name = teachers.map((teacher) => teacher["name"]).find(Boolean) ?? "first";
  return JSON.stringify({ prompt: "What is 7 times 8?", teacher: name });
}
