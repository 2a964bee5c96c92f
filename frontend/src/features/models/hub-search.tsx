import { useMutation, useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useState } from "react";
import { hubSearch, startDownload } from "@/api/models";
import { describeError } from "@/api/problem";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { formatCount } from "@/components/format";
import { Input } from "@/components/input";
import { formatParameters } from "@/features/models/model-card";
import { showError } from "@/features/runs/run-actions";

interface HubSearchProps {
  /** Takes a model for what is being chosen; left out where nothing is. */
  onChoose?: (hubId: string) => void;
}

/** Asks the hub only when told to: nothing else on this screen uses the network. */
export function HubSearch({ onChoose }: HubSearchProps) {
  const [text, setText] = useState("");
  const [words, setWords] = useState("");
  const search = useQuery(hubSearch(words));
  const download = useMutation({
    mutationFn: startDownload,
    onError: showError,
  });
  return (
    <section aria-label="Hugging Face hub">
      <form
        className="flex gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          setWords(text.trim());
        }}
      >
        <Input
          type="search"
          icon={<Search aria-hidden />}
          aria-label="Search the hub"
          placeholder="Search the hub for MLX models"
          value={text}
          onChange={(event) => setText(event.target.value)}
          className="w-96"
        />
        <Button type="submit" busy={search.isFetching} disabled={text.trim() === ""}>
          Search
        </Button>
      </form>
      {search.error ? (
        <p role="alert" className="mt-3">
          <span className="text-bad">{describeError(search.error).title}</span>{" "}
          <span className="text-muted">{describeError(search.error).reason}</span>
        </p>
      ) : null}
      {search.data ? (
        <ul className="mt-3 divide-y">
          {search.data.models.length === 0 ? (
            <li className="text-muted">Nothing on the hub matches these words.</li>
          ) : null}
          {search.data.models.map((model) => (
            <li key={model.hub_id} className="num flex h-8 items-center gap-2">
              <span className="truncate">{model.hub_id}</span>
              {model.gated ? <Badge tone="warn">needs a token</Badge> : null}
              <span className="ml-auto text-muted">
                {formatParameters(model.parameters)} · {formatCount(model.downloads)} downloads
              </span>
              {onChoose ? (
                <Button
                  size="sm"
                  aria-label={`Choose ${model.hub_id}`}
                  onClick={() => onChoose(model.hub_id)}
                >
                  Choose
                </Button>
              ) : null}
              {model.is_here ? (
                <Badge tone="good">here</Badge>
              ) : (
                <Button
                  size="sm"
                  aria-label={`Download ${model.hub_id}`}
                  onClick={() => download.mutate(model.hub_id)}
                >
                  Download
                </Button>
              )}
            </li>
          ))}
        </ul>
      ) : null}
    </section>
  );
}
