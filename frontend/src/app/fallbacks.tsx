import type { ErrorComponentProps } from "@tanstack/react-router";
import { ButtonLink } from "@/components/button-link";
import { EmptyState, ErrorState } from "@/components/states";

export function NotFound() {
  return (
    <EmptyState title="There is no such page" action={<ButtonLink to="/">Go home</ButtonLink>}>
      The address may be misspelt, or from another version of the program.
    </EmptyState>
  );
}

export function PageError({ error, reset }: ErrorComponentProps) {
  return (
    <ErrorState
      title="This page failed"
      reason={error instanceof Error ? error.message : undefined}
      retry={reset}
    />
  );
}
