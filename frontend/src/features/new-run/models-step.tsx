import { type ReactNode, useState } from "react";
import type { FormField } from "@/api/types";
import { Card } from "@/components/card";
import { Skeleton } from "@/components/states";
import { useCatalog } from "@/features/models/use-catalog";
import { Advanced } from "@/features/new-run/advanced";
import { settingOf, useDraft } from "@/features/new-run/draft";
import { FittingPairs } from "@/features/new-run/fitting-pairs";
import { type Method, type MethodId, useMethod } from "@/features/new-run/methods";
import { ModelPicker } from "@/features/new-run/model-picker";
import { ModelSlot, suggestionsOf } from "@/features/new-run/model-slot";
import { FitVerdict, PairVerdict } from "@/features/new-run/pair-verdict";
import { FieldGrid, useGroup } from "@/features/new-run/settings-group";
import { TeachersCard } from "@/features/new-run/teachers-card";

const GRADED = "on_policy";

/** Who learns and from whom: chosen from cards, judged in a line. */
export function ModelsStep() {
  const method = useMethod();
  const Beside = BESIDE[method.name];
  const fields = useGroup("models");
  const { models } = useCatalog();
  const [place, setPlace] = useState("");
  const hasLength = useDraft(
    ({ config }) => settingOf(config, `${method.block}.max_generation_tokens`) !== undefined,
  );
  // Only where the teacher grades the student's own tokens must both have the same.
  const sharesTokens = useDraft(
    ({ config }) => (settingOf(config, `${method.block}.training`) ?? GRADED) === GRADED,
  );
  if (!fields) {
    return <Skeleton className="h-40" />;
  }
  const places = fields.filter(({ kind }) => kind === "model");
  const active = places.find(({ key }) => key === place) ?? places[0];
  const several = fields.find(({ kind }) => kind === "teachers");
  const isPair = new Set(method.models.map(({ role }) => role)).has("teacher");
  return (
    <div className="flex flex-col gap-3">
      <div className="grid items-start gap-3 md:grid-cols-2">
        {places.map((field) => (
          <ModelSlot
            key={field.key}
            field={field}
            catalog={models}
            isActive={field === active}
            onActivate={() => setPlace(field.key)}
          />
        ))}
      </div>
      {several ? (
        <TeachersCard
          field={several}
          order={fields.find(({ key }) => key === `${method.block}.teacher_order`)}
          alone={`${method.block}.teacher_model`}
          suggestions={suggestionsOf(models)}
        />
      ) : null}
      <Beside method={method} />
      {isPair && hasLength && places.length > 1 ? <FittingPairs block={method.block} /> : null}
      {active ? (
        <ModelPicker
          fields={places}
          active={active}
          catalog={models}
          sharesTokens={sharesTokens}
          onActivate={setPlace}
        />
      ) : null}
      <OtherFields fields={fields.filter((field) => !isPlaced(field))} />
    </div>
  );
}

/** Whether a field has a place of its own on this step. */
function isPlaced({ kind, key }: FormField): boolean {
  return kind === "model" || kind === "teachers" || key.endsWith(".teacher_order");
}

/** Adapters to begin with and the like, folded away: few runs need one. */
function OtherFields({ fields }: { fields: readonly FormField[] }) {
  return fields.length === 0 ? null : (
    <Card>
      <Advanced count={fields.length}>
        <FieldGrid fields={fields} />
      </Advanced>
    </Card>
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

/** Words on a method's models, under whether they fit. */
function BesideFit({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <FitVerdict />
      <Card title={title}>{children}</Card>
    </>
  );
}

function NoTeacher() {
  return (
    <BesideFit title="No teacher">
      <p>
        The conversations say what is right. The model learns the assistant's words in them and
        nothing else; everything that others say is only read.
      </p>
      <p className="mt-2 text-muted">
        Where a teacher can be loaded as well, on-policy distillation learns more from each example.
        Fine-tuning is the way where answers are all there is.
      </p>
    </BesideFit>
  );
}

function GradedByCode() {
  return (
    <BesideFit title="No teacher">
      <p>
        Code grades what the model says: equal to the answer or not, in the wanted form or not, or
        whatever a Python file of yours finds. The model has to be right now and then before it
        starts, or there is nothing to prefer.
      </p>
      <p className="mt-2 text-muted">
        Fine-tune it first where it is never right. Where a teacher can be loaded, on-policy
        distillation tells it more with every token.
      </p>
    </BesideFit>
  );
}

function TwoHalves() {
  return (
    <BesideFit title="Two halves of a model">
      <p>
        Of the vision model only the tower is read, of the language model everything. Both stay as
        they are; a projector between them is all that learns.
      </p>
      <p className="mt-2 text-muted">
        The language model has to be able to turn its thinking off: answers are learned without
        thoughts and asked for with them afterwards. Qwen3's 2507 releases cannot. Only this program
        loads the result.
      </p>
    </BesideFit>
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
    <BesideFit title="They need not share their tokens">
      <p>
        The student learns from what the teacher has written, as text. Any two models that can chat
        will do, of one family or not.
      </p>
      <p className="mt-2 text-muted">
        Only the on-policy training, under Objective, has the teacher grade the student's own
        tokens; then both must have the same.
      </p>
    </BesideFit>
  );
}
