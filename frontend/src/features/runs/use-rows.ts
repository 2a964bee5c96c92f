import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { runGroups } from "@/api/run-lists";
import { listingOf, type RunSearch } from "@/features/runs/listing";
import { groupName, type ListRow, type ListRows, rowsOf } from "@/features/runs/rows";
import { showError } from "@/features/runs/run-actions";

/** The lines of the list, and how a group is opened or closed. */
export function useRows(
  search: RunSearch,
  total: number,
): { rows: ListRows; toggle: (row: ListRow) => void } {
  const { offset: _, limit: __, ...listing } = listingOf(search, 0);
  const { data, error } = useQuery({
    ...runGroups(listing),
    enabled: search.group !== undefined,
    placeholderData: keepPreviousData,
  });
  // A key with too many values: the list stands without groups, and says why.
  useEffect(() => {
    if (error) {
      showError(error);
    }
  }, [error]);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const groups = search.group && data?.key === search.group && !error ? data.groups : null;
  const rows = useMemo(() => rowsOf(groups, closed, total), [groups, closed, total]);
  const toggle = (row: ListRow) => {
    if (row.kind === "group") {
      const name = groupName(row.group);
      setClosed(
        (old) => new Set(old.has(name) ? [...old].filter((each) => each !== name) : [...old, name]),
      );
    }
  };
  return { rows, toggle };
}
