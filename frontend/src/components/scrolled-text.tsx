import clsx from "clsx";

interface ScrolledTextProps {
  label: string;
  text: string;
  /** Breaks long lines instead of scrolling sideways. */
  wrap?: boolean;
  className?: string;
}

/** Text as it stands in a file; where it is larger than its place, mouse and keyboard scroll it. */
export function ScrolledText({ label, text, wrap = false, className }: ScrolledTextProps) {
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
      tabIndex={0}
      className={clsx("overflow-auto", className)}
    >
      <pre className={clsx("font-mono text-sm", wrap && "whitespace-pre-wrap")}>{text}</pre>
    </section>
  );
}
