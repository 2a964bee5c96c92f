import { useQuery } from "@tanstack/react-query";
import { Navigate, useLocation, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { models } from "@/api/models";
import { presets } from "@/api/planning";
import type { Preset } from "@/api/types";
import { Button } from "@/components/button";
import { ButtonLink } from "@/components/button-link";
import { PageHeader } from "@/components/page-header";
import { Notice, SkeletonRows } from "@/components/states";
import { BudgetStep } from "@/features/new-run/budget-step";
import { useCopyRun } from "@/features/new-run/copy-run";
import { DataStep } from "@/features/new-run/data-step";
import { followOtherWindows, isBegun, useDraft } from "@/features/new-run/draft";
import { useHomelessErrors } from "@/features/new-run/field-errors";
import { goToSetting, settingOfHash } from "@/features/new-run/go-to-setting";
import { MethodStep } from "@/features/new-run/method-step";
import { isOf, methodOf, useMethods } from "@/features/new-run/methods";
import { Missing } from "@/features/new-run/missing";
import { ModelsStep } from "@/features/new-run/models-step";
import { ObjectiveStep } from "@/features/new-run/objective-step";
import { ReviewStep } from "@/features/new-run/review-step";
import { statesOf, useProblems } from "@/features/new-run/step-states";
import { Stepper } from "@/features/new-run/stepper";
import { isStep, neighbour, STEPS, type StepId } from "@/features/new-run/steps";

const CONTENT: Record<StepId, ReactNode> = {
  method: <MethodStep />,
  models: <ModelsStep />,
  data: <DataStep />,
  objective: <ObjectiveStep />,
  budget: <BudgetStep />,
  review: <ReviewStep />,
};

/** What fits what there is: the embedded pair until the user has a model of their own. */
const WITHOUT_MODELS = "demo";

/** Six pages of one draft; each has its address, and the draft survives a reload. */
export function NewRunPage() {
  const { step } = useParams({ from: "/new/$step" });
  const navigate = useNavigate();
  const { from } = useSearch({ from: "/new/$step" });
  const hash = useLocation({ select: (location) => location.hash });
  const { config, begin, clear, dropForeign } = useDraft();
  const hasBegun = useDraft(isBegun);
  const { problems, isChecked } = useProblems();
  const copyRun = useCopyRun();
  const methods = useMethods();
  const method = methodOf(methods, config);
  const isForeign = hasBegun && !isOf(method, config);
  const known = useQuery(presets()).data;
  const local = useQuery(models()).data?.local;
  useEffect(() => {
    if (from !== undefined) {
      void copyRun(from, isStep(step) && step !== "method" ? step : "review");
    }
  }, [from, step, copyRun]);
  useEffect(() => {
    const key = settingOfHash(hash);
    if (key !== null) {
      goToSetting(key);
    }
  }, [hash]);
  useEffect(() => {
    if (hasBegun || from !== undefined || !known || !local) {
      return;
    }
    const hasOwn = local.some(({ origin, is_complete }) => origin !== "embedded" && is_complete);
    const fits = ({ name, recommended }: Preset) =>
      hasOwn ? recommended : name === WITHOUT_MODELS;
    const first = known.find(fits) ?? known[0];
    if (first) {
      begin(first);
    }
  }, [hasBegun, from, known, local, begin]);
  // A draft that was kept by a program with other methods cannot be gone on with.
  useEffect(() => {
    if (isForeign) {
      dropForeign((kept) => methods.some((each) => isOf(each, kept)));
    }
  }, [isForeign, methods, dropForeign]);
  useEffect(followOtherWindows, []);
  if (!isStep(step)) {
    return <Navigate to="/new/$step" params={{ step: "method" }} replace />;
  }
  const before = neighbour(step, -1);
  const after = neighbour(step, 1);
  const errors = problems.filter((each) => each.step === step && each.severity === "error");
  return (
    <div className="flex h-full flex-col">
      <PageHeader
        title="New run"
        detail={hasBegun ? method.title : null}
        actions={
          <Button
            onClick={() => {
              clear();
              void navigate({ to: "/new/$step", params: { step: "method" } });
            }}
          >
            Start over
          </Button>
        }
      />
      <Stepper step={step} states={statesOf(problems, isChecked)} />
      <div className="min-h-0 grow overflow-y-auto p-4">
        {step === "method" || step === "review" ? null : <HomelessErrors />}
        {!hasBegun && step !== "method" ? <SkeletonRows count={10} /> : CONTENT[step]}
      </div>
      <footer className="flex h-12 shrink-0 items-center gap-2 border-t px-4">
        {before ? (
          <ButtonLink to="/new/$step" params={{ step: before }}>
            Back
          </ButtonLink>
        ) : null}
        <Missing errors={errors} />
        {after ? (
          <ButtonLink
            to="/new/$step"
            params={{ step: after }}
            className={errors.length > 0 ? "ml-2" : "ml-auto"}
            look={errors.length > 0 ? "plain" : "primary"}
          >
            Continue to {STEPS.find(({ id }) => id === after)?.label.toLowerCase()}
          </ButtonLink>
        ) : null}
      </footer>
    </div>
  );
}

/** Contradictions between settings, which belong below none of them. */
function HomelessErrors() {
  return useHomelessErrors().map((message) => (
    <div key={message} className="mb-3">
      <Notice tone="bad" title={message} />
    </div>
  ));
}
