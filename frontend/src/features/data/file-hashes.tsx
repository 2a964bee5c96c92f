import type { DataFile } from "@/api/types";
import { Card } from "@/components/card";
import { formatBytes } from "@/components/format";

const SHOWN_DIGITS = 16;

/** Which content a run's files had when it began: the same hash is the same data, whatever its name. */
export function FileHashes({ files }: { files: readonly DataFile[] }) {
  if (files.length === 0) {
    return null;
  }
  return (
    <Card title="Data as it was at the start">
      <ul className="flex flex-col gap-1">
        {files.map((file) => (
          <li key={file.key} className="num flex min-w-0 flex-wrap gap-x-3">
            <span className="text-muted">{file.key}</span>
            <span className="truncate" title={file.path}>
              {file.path.split("/").at(-1)}
            </span>
            <span className="text-muted">{formatBytes(file.num_bytes)}</span>
            <code className="font-mono text-sm" title={`sha256 ${file.sha256}`}>
              sha256 {file.sha256.slice(0, SHOWN_DIGITS)}
            </code>
          </li>
        ))}
      </ul>
    </Card>
  );
}
