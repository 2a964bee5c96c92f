import { Plus, Trash2 } from "lucide-react";
import type { FormField } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { Segments } from "@/components/tabs";
import { Advanced } from "@/features/new-run/advanced";
import { settingOf, useDraft, valueIn } from "@/features/new-run/draft";
import { useFieldError } from "@/features/new-run/field-errors";
import { SettingField, type Suggestion } from "@/features/new-run/setting-field";
import { TeacherPart } from "@/features/new-run/teacher-part";
import {
  firstTeachers,
  kindOfTeacher,
  partOf,
  partsFor,
  sampleLine,
  TEACHER_KINDS,
  type Teacher,
  teachersIn,
  turned,
  withOneMore,
  without,
} from "@/features/new-run/teachers";

const MOST_TEACHERS = 16;

interface TeachersCardProps {
  field: FormField;
  /** In what order they take turns; shown while there are several. */
  order: FormField | undefined;
  /** The setting of the teacher that grades alone where none is listed. */
  alone: string;
  suggestions: readonly Suggestion[];
}

/** Teachers that each grade the prompts that name them; one grades all where none is listed. */
export function TeachersCard({ field, order, alone, suggestions }: TeachersCardProps) {
  const teachers = useDraft(({ config }) => valueIn(config, field));
  const only = useDraft(({ config }) => settingOf(config, alone));
  const set = useDraft((draft) => draft.set);
  const error = useFieldError(field.key);
  const listed = teachersIn(teachers);
  const change = (next: readonly Teacher[]) => set(field.key, [...next]);
  if (listed.length === 0) {
    return (
      <div data-setting={field.key} className="flex flex-wrap items-center gap-3">
        <p className="min-w-0 grow basis-96 text-muted">
          One teacher grades every prompt. With several, each line of the prompt file names its own;
          one can be a copy of the student as it was some steps ago.
        </p>
        <Button onClick={() => change(firstTeachers(only))}>Use several teachers</Button>
      </div>
    );
  }
  return (
    <Card
      title={field.title}
      actions={
        <Button size="sm" onClick={() => change([])}>
          Back to one teacher
        </Button>
      }
    >
      <div data-setting={field.key} className="flex flex-col gap-3">
        <p className="text-muted">
          Each line of both prompt files names its teacher:{" "}
          <code className="font-mono text-sm text-ink">{sampleLine(listed)}</code>
        </p>
        {error ? (
          <p role="alert" className="text-bad">
            {error}
          </p>
        ) : null}
        <ul className="flex flex-col gap-3">
          {listed.map((teacher, index) => (
            <TeacherRow
              // biome-ignore lint/suspicious/noArrayIndexKey: a config knows teachers by their place
              key={index}
              {...{ field, teacher, index, suggestions }}
              teachers={listed}
              onChange={change}
            />
          ))}
        </ul>
        <div className="flex flex-wrap items-end gap-x-6 gap-y-3">
          <Button
            icon={<Plus aria-hidden />}
            disabled={listed.length >= MOST_TEACHERS}
            onClick={() => change(withOneMore(listed))}
          >
            Add a teacher
          </Button>
        </div>
        {order ? <SettingField field={order} /> : null}
      </div>
    </Card>
  );
}

interface TeacherRowProps {
  field: FormField;
  teacher: Teacher;
  index: number;
  teachers: readonly Teacher[];
  suggestions: readonly Suggestion[];
  onChange: (teachers: readonly Teacher[]) => void;
}

function TeacherRow({ field, teacher, index, teachers, suggestions, onChange }: TeacherRowProps) {
  const kind = kindOfTeacher(teacher);
  const name = String(teacher["name"] ?? "");
  const key = `${field.key}.${index}`;
  // Where it is none of the three, or several of them, that is said of its model.
  const error = useFieldError(`${key}.model`);
  const parts = partsFor(field, kind);
  const rare = parts.filter(({ key: part }) => RARE.test(part));
  const shown = (part: FormField) => (
    <TeacherPart
      key={part.key}
      field={part}
      place={`${key}.${partOf(field, part.key)}`}
      part={partOf(field, part.key)}
      {...{ index, teachers, onChange }}
      suggestions={kind === "model" ? suggestions : undefined}
    />
  );
  return (
    <li data-setting={key} aria-label={name || "A teacher"} className="rounded-md border p-3">
      <div className="mb-3 flex items-center gap-3">
        <Segments
          label={`What ${name || "this teacher"} is`}
          value={kind}
          choices={TEACHER_KINDS}
          onChange={(next) =>
            onChange(teachers.map((each) => (each === teacher ? turned(teacher, next) : each)))
          }
        />
        <Button
          look="quiet"
          size="sm"
          className="ml-auto"
          icon={<Trash2 aria-hidden />}
          aria-label={`Remove ${name || "this teacher"}`}
          onClick={() => onChange(without(teachers, index))}
        />
      </div>
      {error && kind !== "model" ? (
        <p role="alert" className="mb-3 text-bad">
          {error}
        </p>
      ) : null}
      <div className="grid gap-x-6 gap-y-4 md:grid-cols-2 xl:grid-cols-3">
        {parts.filter((part) => !rare.includes(part)).map(shown)}
      </div>
      {rare.length > 0 ? (
        <Advanced count={rare.length}>
          <div className="grid gap-x-6 gap-y-4 md:grid-cols-2 xl:grid-cols-3">
            {rare.map(shown)}
          </div>
        </Advanced>
      ) : null}
    </li>
  );
}

/** What an endpoint can be told and hardly ever is. */
const RARE = /\.endpoint\.(timeout_s|retries|in_flight)$/;
