const IS_MAC = /mac/i.test(navigator.userAgent);
const ELSEWHERE: Record<string, string> = { "⌘": "Ctrl", "⇧": "Shift" };

/** Keys to press, one box a key: `keys="G R"` is G, then R. */
export function KeyHint({ keys }: { keys: string }) {
  return (
    <span className="inline-flex gap-0.5">
      {keys.split(" ").map((key) => (
        <kbd
          key={key}
          className="inline-flex h-4.5 min-w-4.5 items-center justify-center rounded-sm border border-line-strong bg-sunken px-1 font-sans text-xs text-muted"
        >
          {IS_MAC ? key : (ELSEWHERE[key] ?? key)}
        </kbd>
      ))}
    </span>
  );
}
