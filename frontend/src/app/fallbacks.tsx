import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Button } from "@/components/button";
import { EmptyState, ErrorState } from "@/components/states";

export function NotFound() {
  return (
    <EmptyState
      title="There is no such page"
      action={
        <Link to="/">
          <Button>Go home</Button>
        </Link>
      }
    >
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
