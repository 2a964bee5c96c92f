import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { formFields } from "@/api/planning";
import { createRun } from "@/api/runs";
import { learnRun, useWorkspace } from "@/api/workspace";
import { Button } from "@/components/button";
import { Card } from "@/components/card";
import { useDraft } from "@/features/new-run/draft";
import { useMethod } from "@/features/new-run/methods";
import { asksBack, Refusals } from "@/features/new-run/refusals";
import { SettingField } from "@/features/new-run/setting-field";
import { askedRanks, useChosenRanks, waitsForHosts } from "@/features/ranks/chosen-ranks";
import { RanksChoice } from "@/features/ranks/ranks-choice";
import { showError } from "@/features/runs/run-actions";

interface Creation {
  start: boolean;
  anyway: boolean;
  confirm: boolean;
}

const START: Creation = { start: true, anyway: false, confirm: false };
const SAVE: Creation = { start: false, anyway: false, confirm: false };

interface StartCardProps {
  canStart: boolean;
  /** Something speaks against it, although it may not keep it from starting. */
  isWrong: boolean;
}

export function StartCard({ canStart, isWrong }: StartCardProps) {
  const { config, clear } = useDraft();
  const { block } = useMethod();
  const navigate = useNavigate();
  const name = useQuery(formFields()).data?.find(({ key }) => key === `${block}.run_name`);
  const asksForHosts = useChosenRanks(waitsForHosts);
  const isBusy = useWorkspace(({ queue }) => queue?.active !== null && queue !== null);
  const create = useMutation({
    mutationFn: (how: Creation) =>
      createRun({
        config,
        ...how,
        ...askedRanks(useChosenRanks.getState()),
        annotations: { name: null, tags: [], note: "", favourite: false, archived: false },
      }),
    onSuccess: (run) => {
      learnRun(run);
      clear();
      useChosenRanks.getState().choose({ ranks: 1, hosts: "" });
      void navigate({ to: "/runs/$runId", params: { runId: run.run_id } });
    },
    onError: (error) => {
      if (!asksBack(error)) {
        showError(error);
      }
    },
  });
  const isAtWork = (how: Creation) => create.isPending && create.variables.start === how.start;
  return (
    <Card title="Start">
      <p className="mb-3 text-muted">
        {isBusy
          ? "Another run is at work; this one starts when it is done."
          : "The run works in its own process: you may close this window."}
      </p>
      {name ? (
        <div className="mb-3">
          <SettingField field={name} />
        </div>
      ) : null}
      <RanksChoice />
      <div className="flex gap-2">
        <Button
          look={isWrong || !canStart ? "plain" : "primary"}
          disabled={!canStart || asksForHosts}
          busy={isAtWork(START)}
          onClick={() => create.mutate(START)}
        >
          {isBusy ? "Queue" : "Start"}
        </Button>
        <Button
          disabled={!canStart || asksForHosts}
          busy={isAtWork(SAVE)}
          onClick={() => create.mutate(SAVE)}
        >
          Save without starting
        </Button>
      </div>
      {create.variables ? (
        <Refusals
          error={create.error}
          onAnyway={() =>
            create.mutate({ ...START, ...create.variables, start: true, anyway: true })
          }
          onConfirm={() => create.mutate({ ...START, ...create.variables, confirm: true })}
        />
      ) : null}
    </Card>
  );
}
