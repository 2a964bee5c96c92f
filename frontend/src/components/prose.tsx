/** A sentence in which what stands between backticks is set as code. */
export function Prose({ text }: { text: string }) {
  return text.split("`").map((part, index) =>
    index % 2 === 0 ? (
      part
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: a part is its place
      <code key={index} className="font-mono text-[0.95em]">
        {part}
      </code>
    ),
  );
}
