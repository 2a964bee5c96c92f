import { useQuery } from "@tanstack/react-query";
import { Eye, EyeOff } from "lucide-react";
import { useState } from "react";
import { describeError } from "@/api/problem";
import { apiTokens, servedModels } from "@/api/tokens";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { Select } from "@/components/select";
import { Skeleton } from "@/components/states";
import { examplesOf } from "@/features/settings/examples";
import { TokenRow } from "@/features/settings/token-row";

const NO_STUDENT = "latest";

/** Where the API is, the tokens that open it, and commands that ask it. */
export function ApiCard() {
  const tokens = useQuery(apiTokens());
  const [isShown, setShown] = useState(false);
  return (
    <>
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
          <ul className="mt-3 divide-y rounded-md border" aria-label="Tokens">
            <TokenRow scope="read" token={tokens.data.read} isShown={isShown} />
            <TokenRow scope="write" token={tokens.data.write} isShown={isShown} />
          </ul>
        ) : tokens.error ? (
          <p role="alert" className="mt-3 text-bad">
            {describeError(tokens.error).title}
          </p>
        ) : (
          <Skeleton className="mt-3 h-32" />
        )}
      </Card>
      {tokens.data ? (
        <Examples token={tokens.data.read} isShown={isShown} />
      ) : (
        <Card title="Ask a student">
          <Skeleton className="h-48" />
        </Card>
      )}
    </>
  );
}

function Address({ label, url }: { label: string; url: string }) {
  return (
    <div>
      <dt className="label">{label}</dt>
      <dd className="flex items-center justify-between gap-2">
        <span className="font-mono text-sm break-all">{url}</span>
        <CopyButton label="Copy" about={label} text={url} />
      </dd>
    </div>
  );
}

/** What is copied has the token in it, whether or not it is shown. */
function Examples({ token, isShown }: { token: string; isShown: boolean }) {
  const served = useQuery(servedModels()).data ?? [];
  const [picked, setPicked] = useState<string | null>(null);
  const model = picked ?? served[0]?.id ?? NO_STUDENT;
  const { origin } = window.location;
  const copied = examplesOf({ origin, token, model });
  const shown = examplesOf({ origin, token: isShown ? token : "••••••", model });
  return (
    <Card
      title="Ask a student"
      actions={
        served.length > 0 ? (
          <>
            <Select
              label="Model"
              size="sm"
              value={model}
              choices={served.map(({ id }) => ({ value: id, label: id }))}
              onChange={setPicked}
              className="w-52"
            />
            <CopyButton label="Copy" about="Model" text={model} />
          </>
        ) : null
      }
    >
      <ul className="grid grid-cols-[minmax(0,1fr)] gap-3" aria-label="Examples">
        {copied.map(({ title, words, command }, place) => (
          <li key={title}>
            <div className="flex items-center justify-between gap-2">
              <h3 className="min-w-0 truncate">
                <span className="font-medium">{title}</span>{" "}
                <span className="text-sm text-muted">{words}</span>
              </h3>
              <CopyButton label="Copy" about={title} text={command} />
            </div>
            <code className="mt-1 block rounded-md border bg-sunken px-2 py-1.5 font-mono text-sm [overflow-wrap:anywhere] whitespace-pre-wrap">
              {shown[place]?.command}
            </code>
          </li>
        ))}
      </ul>
    </Card>
  );
}
