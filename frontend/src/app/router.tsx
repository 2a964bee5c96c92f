import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { z } from "zod";
import { runKinds } from "@/api/methods";
import { queryClient } from "@/api/query-client";
import { NotFound, PageError } from "@/app/fallbacks";
import { Shell } from "@/app/shell";
import { runTabSearch } from "@/features/run/run-tabs";
import { runSearch } from "@/features/runs/listing";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
  errorComponent: PageError,
});

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("@/features/home/home-page"), "HomePage"),
});

const runs = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  validateSearch: runSearch,
  component: lazyRouteComponent(() => import("@/features/runs/runs-page"), "RunsPage"),
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$runId",
  validateSearch: runTabSearch,
  component: lazyRouteComponent(() => import("@/features/run/run-page"), "RunPage"),
});

const newRun = createRoute({
  getParentRoute: () => root,
  path: "/new",
  beforeLoad: () => {
    throw redirect({ to: "/new/$step", params: { step: "method" } });
  },
});

const newRunStep = createRoute({
  getParentRoute: () => root,
  path: "/new/$step",
  // A run whose settings are taken to begin with.
  validateSearch: z.object({ from: z.string().optional().catch(undefined) }),
  // Every step asks for its method: fetched first, so that none of them has to wait.
  loader: () => queryClient.ensureQueryData(runKinds()),
  component: lazyRouteComponent(() => import("@/features/new-run/new-run-page"), "NewRunPage"),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: z.object({ run: z.array(z.string()).max(8).optional().catch(undefined) }),
  component: lazyRouteComponent(() => import("@/features/compare/compare-page"), "ComparePage"),
});

const pipelines = createRoute({
  getParentRoute: () => root,
  path: "/pipelines",
  component: lazyRouteComponent(
    () => import("@/features/pipelines/pipelines-page"),
    "PipelinesPage",
  ),
});

const pipeline = createRoute({
  getParentRoute: () => root,
  path: "/pipelines/$pipelineId",
  component: lazyRouteComponent(() => import("@/features/pipelines/pipeline-page"), "PipelinePage"),
});

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  component: lazyRouteComponent(() => import("@/features/models/models-page"), "ModelsPage"),
});

const data = createRoute({
  getParentRoute: () => root,
  path: "/data",
  validateSearch: z.object({
    set: z.string().optional().catch(undefined),
    sort: z.string().optional().catch(undefined),
  }),
  component: lazyRouteComponent(() => import("@/features/data/data-page"), "DataPage"),
});

/** A run, and one of its checkpoints where not the best is meant. */
const ofCheckpoint = z.object({
  run: z.string().optional().catch(undefined),
  checkpoint: z.int().nonnegative().optional().catch(undefined),
});

const playground = createRoute({
  getParentRoute: () => root,
  path: "/playground",
  validateSearch: ofCheckpoint,
  component: lazyRouteComponent(
    () => import("@/features/playground/playground-page"),
    "PlaygroundPage",
  ),
});

const exportStudent = createRoute({
  getParentRoute: () => root,
  path: "/export",
  validateSearch: ofCheckpoint,
  component: lazyRouteComponent(() => import("@/features/export/export-page"), "ExportPage"),
});

const evaluate = createRoute({
  getParentRoute: () => root,
  path: "/evaluate",
  validateSearch: z.object({
    run: z.string().optional().catch(undefined),
    form: z.boolean().optional().catch(undefined),
    // The run, and its checkpoint, whose student a new evaluation shall ask.
    student: z.string().optional().catch(undefined),
    checkpoint: z.int().nonnegative().optional().catch(undefined),
  }),
  component: lazyRouteComponent(() => import("@/features/evaluate/evaluate-page"), "EvaluatePage"),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  validateSearch: z.object({ tab: z.enum(["settings"]).optional().catch(undefined) }),
  component: lazyRouteComponent(() => import("@/app/settings-page"), "SettingsPage"),
});

const map = createRoute({
  getParentRoute: () => root,
  path: "/map",
  component: lazyRouteComponent(() => import("@/features/map/map-page"), "MapPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    newRun,
    newRunStep,
    runs,
    run,
    compare,
    pipelines,
    pipeline,
    models,
    data,
    playground,
    evaluate,
    exportStudent,
    settings,
    map,
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: PageError,
});

/** Fetches every page's code, so that none is missing when the backend has gone. */
export async function loadAllPages(): Promise<void> {
  for (const { options } of Object.values(router.routesById)) {
    await options.component?.preload?.();
  }
}

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
