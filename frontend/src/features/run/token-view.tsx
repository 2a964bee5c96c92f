import { useState } from "react";
import type { Token } from "@/api/types";
import { formatNumber, formatProbability } from "@/components/format";
import { type RolloutToken, tintOf, visibleText } from "@/features/run/tokens";

/** A completion, each token tinted by its divergence; the chosen token shows both top fives. */
export function TokenView({ id, tokens }: { id: string; tokens: readonly RolloutToken[] }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const worst = tokens.reduce(
    (best, { divergence }, index) =>
      (divergence ?? -1) > (tokens[best]?.divergence ?? -1) ? index : best,
    0,
  );
  const shown = chosen ?? worst;
  const token = tokens[shown];

  function move(by: number) {
    setChosen(Math.min(Math.max(shown + by, 0), tokens.length - 1));
  }

  return (
    <div className="grid items-start gap-3 lg:grid-cols-[minmax(0,1fr)_340px]">
      <div
        role="listbox"
        aria-label="Tokens of the completion"
        aria-activedescendant={`token-${id}-${shown}`}
        tabIndex={0}
        onKeyDown={(event) => {
          const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
          if (by !== undefined) {
            event.preventDefault();
            move(by);
          }
        }}
        className="max-h-80 overflow-y-auto rounded-md border bg-sunken p-2 leading-6 break-words whitespace-pre-wrap"
      >
        {tokens.map((each, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the arrow keys of the list choose tokens
          // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
            key={index}
            id={`token-${id}-${index}`}
            role="option"
            aria-selected={index === shown}
            onClick={() => setChosen(index)}
            onMouseEnter={() => setChosen(index)}
            className="rounded-[2px] aria-selected:outline-1 aria-selected:outline-accent"
            style={{
              background: `color-mix(in oklab, var(--color-bad) ${Math.round(tintOf(each.divergence) * 45)}%, transparent)`,
            }}
          >
            {visibleText(each.text)}
          </span>
        ))}
      </div>
      {token ? <TokenDetail token={token} /> : null}
    </div>
  );
}

function TokenDetail({ token }: { token: RolloutToken }) {
  return (
    <div className="num min-w-0 text-sm" aria-live="polite">
      <dl className="mb-2 grid grid-cols-3 gap-2">
        <Fact label="Token" value={JSON.stringify(token.text)} />
        {token.divergence === null ? null : (
          <Fact label="Divergence" value={`${formatNumber(token.divergence, 3)} nats`} />
        )}
        {token.teacherLogprob === null ? (
          <Fact label="Student" value={`${probabilityText(token.studentLogprob)} %`} />
        ) : (
          <Fact
            label="Student / teacher"
            value={`${probabilityText(token.studentLogprob)} / ${probabilityText(token.teacherLogprob)} %`}
          />
        )}
      </dl>
      <div className="grid grid-cols-2 gap-3">
        <TopFive
          title="Student"
          color="var(--color-student)"
          top={token.studentTop}
          sampled={token.text}
        />
        {token.teacherLogprob === null ? null : (
          <TopFive
            title="Teacher"
            color="var(--color-teacher)"
            top={token.teacherTop}
            sampled={token.text}
          />
        )}
      </div>
    </div>
  );
}

function probabilityText(logprob: number): string {
  return formatProbability(Math.exp(logprob));
}

function Fact({ label, value }: { label: string; value: string }) {
  return (
    <div className="min-w-0">
      <dt className="label">{label}</dt>
      <dd className="truncate">{value}</dd>
    </div>
  );
}

interface TopFiveProps {
  title: string;
  color: string;
  top: readonly Token[];
  sampled: string;
}

function TopFive({ title, color, top, sampled }: TopFiveProps) {
  return (
    <div className="min-w-0">
      <h4 className="label mb-1">{title}’s top five</h4>
      {top.length === 0 ? <p className="text-muted">Not recorded for this token.</p> : null}
      <ol>
        {top.slice(0, 5).map((candidate, rank) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two candidates may have the same text
          <li key={rank} className="relative flex h-6 items-center justify-between gap-2 px-1">
            <span
              aria-hidden
              className="absolute inset-y-0.5 left-0 rounded-[2px] opacity-20"
              style={{ width: `${candidate.probability * 100}%`, background: color }}
            />
            <span
              className={`relative truncate font-mono ${candidate.text === sampled ? "font-semibold underline" : ""}`}
            >
              {visibleText(candidate.text)}
            </span>
            <span className="relative text-muted">{formatProbability(candidate.probability)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}
