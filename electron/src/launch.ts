import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Machine, mlxEnvironment } from "./mlx-build.js";

export interface Installation {
  readonly isPackaged: boolean;
  /** The folder of package.json, in the checkout or in the package. */
  readonly app: string;
  /** `Contents/Resources` of a package. */
  readonly resources: string;
  readonly machine: Machine;
}

export interface Places {
  readonly command: readonly [string, ...string[]];
  /** The backend's working folder. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Pages of the shell's own, as file URLs. */
  readonly startingPage: string;
  readonly diagnosticsPage: string;
  readonly preload: string;
}

/** A packaged Python reads no packages of the user's, and none from a folder it happens to be in. */
const OWN_PYTHON_ONLY = {
  PYTHONNOUSERSITE: "1",
  PYTHONSAFEPATH: "1",
  // The package is signed; compiled files written into it would break the seal.
  PYTHONDONTWRITEBYTECODE: "1",
};

/** Where things are: in a package with its own Python, or in a checkout with its `.venv`. */
export function placesOf({ isPackaged, app, resources, machine }: Installation): Places {
  const root = resolve(app, "..");
  const pages = join(isPackaged ? resources : app, "pages");
  const python = isPackaged
    ? join(resources, "python", "bin", "python3")
    : join(root, ".venv", "bin", "python");
  return {
    command: [python, "-m", "backend"],
    folder: isPackaged ? resources : root,
    environment: isPackaged ? { ...OWN_PYTHON_ONLY, ...mlxEnvironment(resources, machine) } : {},
    startingPage: pathToFileURL(join(pages, "starting.html")).href,
    diagnosticsPage: pathToFileURL(join(pages, "diagnostics.html")).href,
    preload: join(app, "dist", "preload.cjs"),
  };
}
