import { useQuery } from "@tanstack/react-query";
import { models } from "@/api/models";
import { describeError } from "@/api/problem";
import { formatNumber } from "@/components/format";
import { PageHeader } from "@/components/page-header";
import { ErrorState, SkeletonRows } from "@/components/states";
import { AddFolder } from "@/features/models/add-folder";
import { Downloads } from "@/features/models/downloads";
import { HubSearch } from "@/features/models/hub-search";
import { KnownModels } from "@/features/models/known-models";
import { LocalModels } from "@/features/models/local-models";

export function ModelsPage() {
  const list = useQuery(models());
  if (list.isPending) {
    return <SkeletonRows count={14} />;
  }
  if (!list.data) {
    const { title, reason } = describeError(list.error);
    return <ErrorState title={title} reason={reason} retry={() => void list.refetch()} />;
  }
  return (
    <div className="flex flex-col">
      <PageHeader
        title="Models"
        detail={`${formatNumber(list.data.limit_gb, 3)} GB for models, ${formatNumber(list.data.free_gb, 3)} GB free for downloads`}
        actions={<AddFolder />}
      />
      <div className="flex flex-col gap-3 px-4 pb-4">
        <Downloads />
        <LocalModels list={list.data} />
        <HubSearch />
        <KnownModels known={list.data.known} />
      </div>
    </div>
  );
}
