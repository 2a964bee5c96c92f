import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { forgetHubToken, hubToken, keepHubToken } from "@/api/models";
import { describeError } from "@/api/problem";
import { queryClient } from "@/api/query-client";
import type { HubToken } from "@/api/types";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Field } from "@/components/field";
import { Input } from "@/components/input";
import { Skeleton } from "@/components/states";

/** Whether the hub knows who asks, and the form that changes it; the token itself never comes back. */
export function HubTokenForm({ onKept }: { onKept?: () => void }) {
  const query = useQuery(hubToken());
  const learn = (token: HubToken) => queryClient.setQueryData(hubToken().queryKey, token);
  const forget = useMutation({ mutationFn: forgetHubToken, onSuccess: learn });
  if (query.isPending) {
    return <Skeleton className="h-16" />;
  }
  if (!query.data) {
    return <p className="text-bad">{describeError(query.error).title}</p>;
  }
  const { is_set, source, variable, file } = query.data;
  return (
    <div className="flex flex-col gap-3">
      <div className="flex items-start gap-2">
        <Badge tone={is_set ? "good" : "neutral"}>{is_set ? "set" : "not set"}</Badge>
        <p className="min-w-0 grow text-muted">
          {source === "environment"
            ? `It comes from ${variable ?? "the environment"}, set where this program was started; change it there.`
            : is_set
              ? "Kept on this machine for your account alone, where the hub’s own command keeps it too. It is never shown."
              : "Needed for gated models and to send an export; open models download without one."}
          <span className="block truncate font-mono text-sm" title={file}>
            {source === "environment" ? null : file}
          </span>
        </p>
        {source === "file" ? (
          <Button size="sm" busy={forget.isPending} onClick={() => forget.mutate()}>
            Remove it
          </Button>
        ) : null}
      </div>
      {forget.error ? <p className="text-bad">{describeError(forget.error).title}</p> : null}
      {source === "environment" ? null : (
        <NewToken
          isFirst={!is_set}
          onKept={(token) => {
            learn(token);
            onKept?.();
          }}
        />
      )}
    </div>
  );
}

interface NewTokenProps {
  isFirst: boolean;
  onKept: (token: HubToken) => void;
}

function NewToken({ isFirst, onKept }: NewTokenProps) {
  const [token, setToken] = useState("");
  const keep = useMutation({
    mutationFn: () => keepHubToken(token.trim()),
    onSuccess: (kept) => {
      setToken("");
      onKept(kept);
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        keep.mutate();
      }}
    >
      <Field
        label={isFirst ? "Token" : "Another token"}
        help="From the access tokens of your account on the hub; one that may write, if you send exports."
        error={keep.error ? describeError(keep.error).title : undefined}
      >
        {(control) => (
          <span className="flex gap-2">
            <Input
              {...control}
              type="password"
              autoComplete="off"
              placeholder="hf_"
              value={token}
              onChange={(event) => setToken(event.target.value)}
              className="grow"
            />
            <Button type="submit" busy={keep.isPending} disabled={token.trim() === ""}>
              Save
            </Button>
          </span>
        )}
      </Field>
    </form>
  );
}
