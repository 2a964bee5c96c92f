/** Every page of the screen, by the name its picture gets. */
export interface ShownPage {
  name: string;
  path: string;
  /** A heading or text that is there when the page has its content. */
  ready: string;
}

/** Runs to show: two on-policy ones and, where there are any, of two more methods. */
interface ShownRuns {
  first: string;
  second: string;
  prompt?: string;
  evaluation?: string;
}

export function pagesOf({ first, second, prompt, evaluation }: ShownRuns): ShownPage[] {
  const run = `/runs/${first}`;
  const compared = encodeURIComponent(JSON.stringify([first, second]));
  return [
    { name: "home", path: "/", ready: "Memory" },
    { name: "new-run-method", path: "/new/method", ready: "Continue to models" },
    { name: "new-run-models", path: "/new/models", ready: "Pairs that fit" },
    { name: "new-run-data", path: "/new/data", ready: "Validation file" },
    { name: "new-run-objective", path: "/new/objective", ready: "What is learned" },
    { name: "new-run-budget", path: "/new/budget", ready: "What if" },
    { name: "new-run-review", path: "/new/review", ready: "As YAML" },
    { name: "runs", path: "/runs?curves=true", ready: "in this list" },
    { name: "run", path: run, ready: "Report card" },
    { name: "run-rollouts", path: `${run}?tab=rollouts`, ready: "Rollouts" },
    { name: "run-checkpoints", path: `${run}?tab=checkpoints`, ready: "Checkpoints" },
    { name: "run-log", path: `/runs/${second}?tab=log`, ready: "Log" },
    { name: "run-config", path: `${run}?tab=config`, ready: "Config" },
    { name: "compare", path: `/compare?run=${compared}`, ready: "Held out, of what is exported" },
    { name: "pipelines", path: "/pipelines", ready: "Shipped pipelines" },
    { name: "models", path: "/models", ready: "tiny-teacher" },
    { name: "data", path: "/data", ready: "Usable" },
    { name: "playground", path: `/playground?run=${first}`, ready: "Base model" },
    { name: "evaluate-new", path: "/evaluate?form=true", ready: "Labelled items" },
    { name: "export", path: `/export?run=${first}`, ready: "Model card" },
    { name: "map", path: "/map", ready: "tiny-teacher" },
    { name: "settings", path: "/settings", ready: "Local API" },
    { name: "settings-own", path: "/settings?tab=settings", ready: "Appearance" },
    ...(prompt ? [{ name: "run-prompt", path: `/runs/${prompt}`, ready: "Report card" }] : []),
    ...(evaluation
      ? [{ name: "evaluate", path: `/evaluate?run=${evaluation}`, ready: "Accuracy" }]
      : []),
  ];
}
