import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { formatCount, formatNumber } from "@/components/format";
import { Notice } from "@/components/states";
import {
  type Exchange,
  gradedTokens,
  type Role,
  textOf,
  type Voice,
} from "@/features/playground/exchange";
import { TokenView } from "@/features/run/token-view";

const ROLES: readonly { role: Role; title: string; color: string }[] = [
  { role: "base", title: "Base model", color: "var(--color-base)" },
  { role: "student", title: "Student", color: "var(--color-student)" },
  { role: "teacher", title: "Teacher", color: "var(--color-teacher)" },
];

interface VoicesProps {
  exchange: Exchange;
  hasTeacher: boolean;
  /** Takes an answer up into the conversation; null while there is nothing to take up. */
  onContinue: ((answer: string) => void) | null;
}

/** Three completions side by side, and under them the student's tokens as the teacher grades them. */
export function Voices({ exchange, hasTeacher, onContinue }: VoicesProps) {
  const tokens = gradedTokens(exchange);
  return (
    <>
      {exchange.ending ? (
        <Notice tone={exchange.ending.tone} title={exchange.ending.text}>
          {exchange.ending.action}
        </Notice>
      ) : null}
      {exchange.notes.map((note) => (
        <Notice key={note} tone="neutral" title={note} />
      ))}
      <div className="grid gap-3 lg:grid-cols-3">
        {ROLES.filter(({ role }) => hasTeacher || role !== "teacher").map(
          ({ role, title, color }) => (
            <Card
              key={role}
              title={
                <span className="flex items-center gap-2">
                  <span aria-hidden className="size-2 rounded-full" style={{ background: color }} />
                  {title}
                </span>
              }
              actions={
                <span className="num text-sm text-muted">{speedOf(exchange.voices[role])}</span>
              }
            >
              <p className="min-h-24 whitespace-pre-wrap" aria-live="off">
                {textOf(exchange.voices[role].tokens) || (
                  <span className="text-faint">{WAITING[exchange.voices[role].state]}</span>
                )}
              </p>
              <Read voice={exchange.voices[role]} />
              {onContinue && exchange.voices[role].state === "done" ? (
                <Button
                  size="sm"
                  className="mt-2"
                  onClick={() => onContinue(textOf(exchange.voices[role].tokens))}
                >
                  Continue with this answer
                </Button>
              ) : null}
            </Card>
          ),
        )}
      </div>
      {tokens.length > 0 && exchange.grades.length > 0 ? (
        <Card title="The student's tokens, graded by the teacher">
          <TokenView id="playground" tokens={tokens} />
        </Card>
      ) : null}
    </>
  );
}

/** What its pictures cost, where it looked at any. */
function Read({ voice: { read } }: { voice: Voice }) {
  return read && read.numOfPictures > 0 ? (
    <p className="num mt-2 border-t pt-2 text-sm text-muted">
      It read {formatCount(read.numTokens)} tokens, {formatCount(read.numOfPictures)} of them
      pictures.
    </p>
  ) : null;
}

const WAITING: Record<Voice["state"], string> = {
  waiting: "Nothing asked yet",
  loading: "Loading the model",
  writing: "Reading the prompt",
  done: "It printed nothing",
};

function speedOf(voice: Voice): string {
  if (voice.seconds === null || voice.seconds === 0) {
    return "";
  }
  const cut = voice.finishReason === "length" ? ", cut" : "";
  return `${formatNumber(voice.tokens.length / voice.seconds, 3)} tok/s${cut}`;
}
