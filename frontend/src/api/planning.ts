import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, client } from "@/api/client";
import type { ConfigValues } from "@/api/types";

const FOREVER = { staleTime: Number.POSITIVE_INFINITY };

export function presets() {
  return queryOptions({
    queryKey: ["presets"],
    queryFn: ({ signal }) => body(client.GET("/api/presets", { signal })),
    ...FOREVER,
  });
}

export function formFields() {
  return queryOptions({
    queryKey: ["form-fields"],
    queryFn: ({ signal }) => body(client.GET("/api/schema/fields", { signal })),
    ...FOREVER,
  });
}

export function pairReport(student: string, teacher: string) {
  return queryOptions({
    queryKey: ["pair", student, teacher],
    queryFn: ({ signal }) => body(client.POST("/api/pair", { body: { student, teacher }, signal })),
    enabled: student !== "" && teacher !== "",
  });
}

/** Memory and time of a run on this machine, or on one with `memoryGb`. */
export function runPlan(config: ConfigValues, memoryGb: number | null) {
  return queryOptions({
    queryKey: ["plan", config, memoryGb],
    queryFn: ({ signal }) =>
      body(client.POST("/api/plan", { body: { config, memory_gb: memoryGb, chip: null }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** Pair, files line by line, leakage and disk, before anything is loaded. */
export function runCheck(config: ConfigValues) {
  return queryOptions({
    queryKey: ["check", config],
    queryFn: ({ signal }) => body(client.POST("/api/check", { body: { config }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 0,
  });
}

export function checkedConfig(config: ConfigValues) {
  return queryOptions({
    queryKey: ["checked-config", config],
    queryFn: ({ signal }) => body(client.POST("/api/configs/check", { body: { config }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** The run with each known or local model in one place: which fit beside the other. */
export function modelChoices(config: ConfigValues, key: string) {
  return queryOptions({
    queryKey: ["model-choices", key, config],
    queryFn: ({ signal }) =>
      body(client.POST("/api/models/choices", { body: { config, key }, signal })),
    placeholderData: keepPreviousData,
    enabled: key !== "",
  });
}

/** Pairs by completion length with a run's settings, on this machine or one with `memoryGb`. */
export function pairMap(config: ConfigValues, lengths: number[], memoryGb: number | null) {
  return queryOptions({
    queryKey: ["pair-map", config, lengths, memoryGb],
    queryFn: ({ signal }) =>
      body(
        client.POST("/api/models/map", { body: { config, lengths, memory_gb: memoryGb }, signal }),
      ),
    placeholderData: keepPreviousData,
  });
}
