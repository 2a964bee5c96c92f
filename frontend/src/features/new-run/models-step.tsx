import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { models } from "@/api/models";
import { Card } from "@/components/card";
import { Skeleton } from "@/components/states";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { type Method, type MethodId, useMethod } from "@/features/new-run/methods";
import { PairVerdict } from "@/features/new-run/pair-verdict";
import { SettingField } from "@/features/new-run/setting-field";
import { useGroup } from "@/features/new-run/settings-group";

export function ModelsStep() {
  const method = useMethod();
  const hasTeacher = method.models.some(({ role }) => role === "teacher");
  const Beside = BESIDE[method.name];
  const fields = useGroup("models");
  const list = useQuery(models()).data;
  const here = (list?.local ?? []).filter((model) => model.is_complete).map(({ name }) => name);
  const elsewhere = (list?.known ?? [])
    .map(({ alias }) => alias)
    .filter((alias) => !here.includes(alias));
  const suggestions = [
    ...here.map((value) => ({ value, note: "on this machine" })),
    ...elsewhere.map((value) => ({ value, note: "is downloaded first" })),
  ];
  if (!fields) {
    return <Skeleton className="h-40" />;
  }
  return (
    <div className="grid gap-3 lg:grid-cols-2">
      <Card title={hasTeacher ? "Teacher and student" : "The model that learns"}>
        <div className="flex flex-col gap-4">
          {fields.map((field) => (
            <SettingField
              key={field.key}
              field={field}
              {...(field.kind === "model" ? { suggestions } : {})}
            />
          ))}
        </div>
      </Card>
      <Beside method={method} />
    </div>
  );
}

/** What there is to know about a method's models. */
const BESIDE: Readonly<Record<MethodId, (props: { method: Method }) => ReactNode>> = {
  on_policy: ({ method }) => <PairVerdict block={method.block} />,
  prompt_distillation: BesidePrompted,
  sft: NoTeacher,
  vlm_distillation: ({ method }) => <PairVerdict block={method.block} />,
  grpo: GradedByCode,
  projector: TwoHalves,
};

function NoTeacher() {
  return (
    <Card title="No teacher">
      <p>
        The conversations say what is right. The model learns the assistant's words in them and
        nothing else; everything that others say is only read.
      </p>
      <p className="mt-2 text-muted">
        Where a teacher can be loaded as well, on-policy distillation learns more from each example.
        Fine-tuning is the way where answers are all there is.
      </p>
    </Card>
  );
}

function GradedByCode() {
  return (
    <Card title="No teacher">
      <p>
        Code grades what the model says: equal to the answer or not, in the wanted form or not, or
        whatever a Python file of yours finds. The model has to be right now and then before it
        starts, or there is nothing to prefer.
      </p>
      <p className="mt-2 text-muted">
        Fine-tune it first where it is never right. Where a teacher can be loaded, on-policy
        distillation tells it more with every token.
      </p>
    </Card>
  );
}

function TwoHalves() {
  return (
    <Card title="Two halves of a model">
      <p>
        Of the vision model only the tower is read, of the language model everything. Both stay as
        they are; a projector between them is all that learns.
      </p>
      <p className="mt-2 text-muted">
        The language model has to be able to turn its thinking off: answers are learned without
        thoughts and asked for with them afterwards. Qwen3's 2507 releases cannot. Only this program
        loads the result.
      </p>
    </Card>
  );
}

function BesidePrompted({ method }: { method: Method }) {
  const config = useDraft((draft) => draft.config);
  const setting = (name: string) => settingOf(config, `${method.block}.${name}`);
  const isItself = setting("teacher_model") === setting("student_model");
  return (
    <div className="flex min-w-0 flex-col gap-3">
      {setting("training") === "on_policy" ? (
        <PairVerdict block={method.block} />
      ) : (
        <NeedNotShareTokens />
      )}
      {isItself ? (
        <Card title="Self-distillation">
          <p>
            Teacher and student are the same weights, loaded once. With the prompt and without the
            adapter it teaches; without the prompt and with the adapter it learns.
          </p>
        </Card>
      ) : null}
    </div>
  );
}

function NeedNotShareTokens() {
  return (
    <Card title="They need not share their tokens">
      <p>
        The student learns from what the teacher has written, as text. Any two models that can chat
        will do, of one family or not.
      </p>
      <p className="mt-2 text-muted">
        Only the on-policy training, under Objective, has the teacher grade the student's own
        tokens; then both must have the same.
      </p>
    </Card>
  );
}
