import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { models } from "@/api/models";
import { describeError } from "@/api/problem";
import { Card } from "@/components/card";
import { formatNumber } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { EmptyState, ErrorState, SkeletonRows } from "@/components/states";
import { AddFolder } from "@/features/models/add-folder";
import { cardsOf, familiesOf, NO_FILTER } from "@/features/models/cards";
import { Downloads } from "@/features/models/downloads";
import { HubSearch } from "@/features/models/hub-search";
import { ModelDetails } from "@/features/models/model-details";
import { ModelFilterBar } from "@/features/models/model-filter";
import { ModelGrid } from "@/features/models/model-grid";
import { useCatalog } from "@/features/models/use-catalog";

/** Every model that is known or here; one is looked at beside the list. */
export function ModelsPage() {
  const query = useQuery(models());
  const { list, models: catalog } = useCatalog();
  const [filter, setFilter] = useState(NO_FILTER);
  const [shown, setShown] = useState<string | null>(null);
  const cards = useMemo(() => cardsOf(catalog, filter, null), [catalog, filter]);
  if (query.isPending) {
    return <SkeletonRows count={14} />;
  }
  if (!list) {
    const { title, reason } = describeError(query.error);
    return <ErrorState title={title} reason={reason} retry={() => void query.refetch()} />;
  }
  const card = cards.find(({ model }) => model.id === shown) ?? cards[0];
  return (
    <div className="flex h-full min-h-160 flex-col">
      <PageHeader
        title="Models"
        detail={`${formatNumber(list.limit_gb, 3)} GB for models, ${formatNumber(list.free_gb, 3)} GB free for downloads`}
        actions={
          <>
            <Link to="/map" className="text-accent hover:underline">
              What fits together
            </Link>
            <AddFolder />
          </>
        }
      />
      <div className="flex flex-col gap-3 px-4 pb-3">
        <Downloads />
        <ModelFilterBar
          filter={filter}
          change={setFilter}
          families={familiesOf(catalog)}
          count={cards.length}
          fitsLabel="Fits alone"
        />
      </div>
      <div className="grid min-h-0 grow grid-cols-[minmax(0,1fr)_minmax(320px,400px)] gap-3 px-4 pb-4">
        {cards.length === 0 ? (
          <EmptyState title="No models match">
            Change the filter, add a folder, or search the hub.
          </EmptyState>
        ) : (
          <ModelGrid
            label="Models"
            cards={cards}
            chosen={card?.model.id ?? null}
            onChoose={({ model }) => setShown(model.id)}
            className="h-full"
          />
        )}
        <div className="flex min-h-0 flex-col gap-3 overflow-y-auto">
          {card ? <ModelDetails model={card.model} /> : null}
          <Card title="Hugging Face hub">
            <HubSearch />
          </Card>
        </div>
      </div>
    </div>
  );
}
