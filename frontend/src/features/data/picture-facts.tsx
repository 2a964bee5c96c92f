import type { LintReport } from "@/api/types";
import { Figure } from "@/components/card";
import { formatCount } from "@/components/format";

interface PictureFactsProps {
  facts: NonNullable<LintReport["pictures"]>;
  /** What it is called that another file shows a picture too; left out where there is no other. */
  overlap?: string | undefined;
}

/** The pictures of a file: how many there are, what they cost, and what is wrong with them. */
export function PictureFacts({ facts, overlap }: PictureFactsProps) {
  const { num_pictures, num_different, num_broken, num_leaked } = facts;
  return (
    <div className="grid grid-cols-2 gap-3 border-t pt-3 sm:grid-cols-4">
      <Figure
        label="Pictures"
        value={formatCount(num_pictures)}
        note={
          num_different === num_pictures
            ? "all different"
            : `${formatCount(num_different)} different`
        }
      />
      <Figure
        label="Half of them take up to"
        value={formatCount(facts.median_tokens)}
        unit="tokens"
        note={`the longest ${formatCount(facts.longest_tokens)}`}
      />
      <Figure
        label="Unusable pictures"
        value={
          <span className={num_broken > 0 ? "text-bad" : undefined}>{formatCount(num_broken)}</span>
        }
        note={
          num_broken === num_pictures
            ? "a file that is dropped comes without the pictures beside it: name it by its path"
            : `the largest ${facts.largest_width} × ${facts.largest_height} pixels`
        }
      />
      {overlap ? (
        <Figure
          label={`Pictures ${overlap.toLowerCase()}`}
          value={
            <span className={num_leaked > 0 ? "text-warn" : undefined}>
              {formatCount(num_leaked)}
            </span>
          }
        />
      ) : null}
    </div>
  );
}
