import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { models } from "@/api/models";
import type { ModelList } from "@/api/types";
import { type CatalogModel, catalogOf } from "@/features/models/catalog";

interface Catalog {
  list: ModelList | undefined;
  models: readonly CatalogModel[];
}

/** Every model that is known or here, made into cards once for each answer of the backend. */
export function useCatalog(): Catalog {
  const list = useQuery(models()).data;
  return useMemo(() => ({ list, models: list ? catalogOf(list) : [] }), [list]);
}
