export const STEPS = [
  { id: "method", label: "Method" },
  { id: "models", label: "Models" },
  { id: "data", label: "Data" },
  { id: "objective", label: "Objective" },
  { id: "budget", label: "Budget" },
  { id: "review", label: "Review" },
] as const;

export type StepId = (typeof STEPS)[number]["id"];

export function isStep(text: string): text is StepId {
  return STEPS.some((step) => step.id === text);
}

export function neighbour(step: StepId, by: 1 | -1): StepId | undefined {
  return STEPS[STEPS.findIndex(({ id }) => id === step) + by]?.id;
}
