import clsx from "clsx";
import { CornerDownRight } from "lucide-react";
import type { RunSummary } from "@/api/types";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { CopyButton } from "@/components/copy-button";
import { formatCount, formatDuration, formatNumber, formatPlural } from "@/components/format";
import { type Role, textOf, type Voice } from "@/features/playground/exchange";
import type { Asked, Round } from "@/features/playground/rounds";

export const ROLES: readonly { role: Role; title: string; color: string }[] = [
  { role: "base", title: "Base model", color: "var(--color-base)" },
  { role: "student", title: "Student", color: "var(--color-student)" },
  { role: "teacher", title: "Teacher", color: "var(--color-teacher)" },
];

/** Who speaks in a run: a run of right and wrong alone has no teacher. */
export function rolesOf(run: Pick<RunSummary, "teacher">) {
  return ROLES.filter(({ role }) => run.teacher !== null || role !== "teacher");
}

/** Which model a role is, by its name. */
export function modelOf(role: Role, run: Pick<RunSummary, "student" | "teacher">): string {
  return role === "teacher" ? (run.teacher ?? "") : run.student;
}

interface VoiceTitleProps {
  role: Role;
  run: Pick<RunSummary, "student" | "teacher">;
  checkpoint?: Asked;
}

/** A role in its colour and the model that plays it; of a student also which checkpoint it is. */
export function VoiceTitle({ role, run, checkpoint = "best" }: VoiceTitleProps) {
  const { title = "", color = "" } = ROLES.find((each) => each.role === role) ?? {};
  const model = modelOf(role, run);
  const which = typeof checkpoint === "number" ? `step ${checkpoint}` : `${checkpoint} checkpoint`;
  const name = role === "student" ? `${model}, ${which}` : model;
  return (
    <span className="flex min-w-0 items-center gap-2">
      <span aria-hidden className="size-2 shrink-0 rounded-full" style={{ background: color }} />
      <span className="shrink-0">{title}</span>
      <span className="truncate font-normal text-faint" title={name}>
        {name}
      </span>
    </span>
  );
}

interface VoicesProps {
  run: RunSummary;
  round: Round;
  /** Chooses the answer to go on from; null where that is decided already. */
  onFollow: ((role: Role | null) => void) | null;
}

/** What every model of a run says to one question, side by side. */
export function Voices({ run, round, onFollow }: VoicesProps) {
  const { exchange, follows, checkpoint } = round;
  const roles = rolesOf(run);
  return (
    <div className={clsx("grid gap-3", roles.length > 2 ? "md:grid-cols-3" : "md:grid-cols-2")}>
      {roles.map(({ role }) => (
        <Card
          key={role}
          title={<VoiceTitle role={role} run={run} checkpoint={checkpoint} />}
          className={clsx(follows === role && "border-accent")}
        >
          <Answer voice={exchange.voices[role]} />
          <AnswerFoot
            voice={exchange.voices[role]}
            isFollowed={follows === role}
            onFollow={onFollow ? () => onFollow(follows === role ? null : role) : null}
          />
        </Card>
      ))}
    </div>
  );
}

const WAITING: Record<Voice["state"], string> = {
  waiting: "Waits for its turn",
  loading: "Loading the model",
  writing: "Reading the prompt",
  done: "It printed nothing",
};

function Answer({ voice }: { voice: Voice }) {
  return (
    <p className="min-h-10 break-words whitespace-pre-wrap" dir="auto" aria-live="off">
      {textOf(voice.tokens) || <span className="text-faint">{WAITING[voice.state]}</span>}
    </p>
  );
}

interface AnswerFootProps {
  voice: Voice;
  isFollowed: boolean;
  onFollow: (() => void) | null;
}

/** How long an answer is and took, and what can be done with it. */
function AnswerFoot({ voice, isFollowed, onFollow }: AnswerFootProps) {
  const said = factsOf(voice);
  return (
    <>
      <Read voice={voice} />
      <p className="num mt-2 flex min-h-4 flex-wrap gap-x-3 text-sm text-muted">
        {said.map((fact) => (
          <span key={fact} className={clsx(fact === CUT && "text-warn")}>
            {fact}
          </span>
        ))}
      </p>
      {voice.state === "done" ? (
        <div className="-mx-2 mt-1 flex flex-wrap items-center">
          <CopyButton label="Copy" text={textOf(voice.tokens)} />
          {onFollow ? (
            <Button
              size="sm"
              look="quiet"
              aria-pressed={isFollowed}
              icon={<CornerDownRight aria-hidden />}
              className="aria-pressed:bg-selected aria-pressed:text-ink"
              onClick={onFollow}
            >
              Continue with this answer
            </Button>
          ) : null}
        </div>
      ) : null}
    </>
  );
}

const CUT = "cut at Max tokens";

/** Tokens while they come, then time and speed, and whether the answer was cut. */
function factsOf({ state, tokens, seconds, finishReason }: Voice): string[] {
  if (tokens.length === 0) {
    return [];
  }
  const facts = [formatPlural(tokens.length, "token")];
  if (state === "done" && seconds) {
    facts.push(secondsText(seconds), `${formatNumber(tokens.length / seconds, 3)} tok/s`);
  }
  return finishReason === "length" ? [...facts, CUT] : facts;
}

const LONG_SECONDS = 10;

/** A short answer takes less than the tenth of a second that other times are told in. */
function secondsText(seconds: number): string {
  return seconds < LONG_SECONDS ? `${formatNumber(seconds, 2)} s` : formatDuration(seconds);
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
