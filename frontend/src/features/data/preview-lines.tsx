import { useState } from "react";
import type { PreviewItem } from "@/api/types";
import { Button } from "@/components/button";

/** Lines of a file as they are, and as a model reads them where one is chosen. */
export function PreviewLines({ items }: { items: readonly PreviewItem[] }) {
  return (
    <ul className="divide-y">
      {items.map((item) => (
        <PreviewLine key={item.line} item={item} />
      ))}
    </ul>
  );
}

function PreviewLine({ item }: { item: PreviewItem }) {
  return (
    <li className="flex gap-3 px-3 py-2">
      <span className="num w-10 shrink-0 text-right text-faint">{item.line}</span>
      <div className="min-w-0">
        {item.problem ? <p className="text-bad">{item.problem.message}</p> : null}
        <p className="line-clamp-3 whitespace-pre-wrap">{item.text}</p>
        {item.answer ? <p className="text-muted">Answer: {item.answer}</p> : null}
        {item.tokens && item.tokens.length > 0 ? <Tokens tokens={item.tokens} /> : null}
      </div>
      {item.num_tokens ? (
        <span className="num ml-auto shrink-0 text-muted">{item.num_tokens} tokens</span>
      ) : null}
    </li>
  );
}

// A longer line would push the next ones out of sight.
const SHORT_TOKENS = 120;

/** The line as the template renders it, every other token shaded; a long one opens. */
function Tokens({ tokens }: { tokens: readonly string[] }) {
  const [isOpen, setOpen] = useState(tokens.length <= SHORT_TOKENS);
  const shown = isOpen ? tokens : tokens.slice(0, SHORT_TOKENS);
  return (
    <>
      <p className="mt-1 rounded-sm bg-sunken p-1 font-mono text-sm break-words whitespace-pre-wrap">
        {shown.map((token, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
          <span key={index} className={index % 2 === 0 ? "" : "bg-selected"}>
            {token}
          </span>
        ))}
      </p>
      {isOpen ? null : (
        <Button size="sm" className="mt-1" onClick={() => setOpen(true)}>
          Show all of it
        </Button>
      )}
    </>
  );
}
