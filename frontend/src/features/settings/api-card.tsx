import { useQuery } from "@tanstack/react-query";
import { Eye, EyeOff } from "lucide-react";
import { useState } from "react";
import { describeError } from "@/api/problem";
import { apiTokens, servedModels } from "@/api/tokens";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { Skeleton } from "@/components/states";
import { examplesOf } from "@/features/settings/examples";
import { TokenRow } from "@/features/settings/token-row";

const NO_STUDENT = "latest";

/** Where the API is, the tokens that open it, and commands that ask it. */
export function ApiCard() {
  const tokens = useQuery(apiTokens());
  const [isShown, setShown] = useState(false);
  return (
    <Card
      title="Local API"
      actions={
        <Button
          size="sm"
          icon={isShown ? <EyeOff aria-hidden /> : <Eye aria-hidden />}
          aria-pressed={isShown}
          onClick={() => setShown(!isShown)}
        >
          {isShown ? "Hide tokens" : "Show tokens"}
        </Button>
      }
    >
      <p className="text-muted">
        Programs that speak OpenAI’s API can chat with your students: give them the base URL and a
        token. It answers on this machine only.
      </p>
      <dl className="mt-3 grid gap-2">
        <Address label="Base URL for OpenAI clients" url={`${window.location.origin}/v1`} />
        <Address label="This program’s own API" url={`${window.location.origin}/api`} />
      </dl>
      {tokens.data ? (
        <>
          <ul className="mt-3 divide-y rounded-md border" aria-label="Tokens">
            <TokenRow scope="read" token={tokens.data.read} isShown={isShown} />
            <TokenRow scope="write" token={tokens.data.write} isShown={isShown} />
          </ul>
          <Examples token={tokens.data.read} isShown={isShown} />
        </>
      ) : tokens.error ? (
        <p role="alert" className="mt-3 text-bad">
          {describeError(tokens.error).title}
        </p>
      ) : (
        <Skeleton className="mt-3 h-32" />
      )}
    </Card>
  );
}

function Address({ label, url }: { label: string; url: string }) {
  return (
    <div>
      <dt className="label flex items-center justify-between">
        {label}
        <CopyButton label="Copy" text={url} />
      </dt>
      <dd className="font-mono text-sm break-all">{url}</dd>
    </div>
  );
}

/** What is copied has the token in it, whether or not it is shown. */
function Examples({ token, isShown }: { token: string; isShown: boolean }) {
  const served = useQuery(servedModels()).data;
  const model = served?.[0]?.id ?? NO_STUDENT;
  const { origin } = window.location;
  const copied = examplesOf({ origin, token, model });
  const shown = examplesOf({ origin, token: isShown ? token : "••••••", model });
  return (
    <ul className="mt-3 grid gap-3" aria-label="Examples">
      {copied.map(({ title, words, command }, place) => (
        <li key={title}>
          <div className="flex items-center justify-between gap-2">
            <h3 className="font-medium">{title}</h3>
            <CopyButton label={`Copy: ${title}`} text={command} />
          </div>
          <p className="text-sm text-muted">{words}</p>
          <code className="mt-1 block rounded-md border bg-sunken p-2 font-mono text-sm break-all">
            {shown[place]?.command}
          </code>
        </li>
      ))}
    </ul>
  );
}
