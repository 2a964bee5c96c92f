import { join } from "node:path";

/** What decides which build of MLX a package starts with. */
export interface Machine {
  /** The kernel's, `os.release()`: 25.2.0 on macOS 26.2. */
  readonly kernel: string;
  /** The processor's name, such as `Apple M5 Max`. */
  readonly chip: string;
  /** The user's word, `plain` or `accelerated`, from OPD_MLX; else empty. */
  readonly wish: string;
}

/** Beside the package's Python: MLX once more, built for macOS 26.2 (scripts/accelerated-mlx.sh). */
const ACCELERATED_FOLDER = "mlx-accelerated";
const FIRST_CHIP = 5;
/**
 * macOS 26.2 by its kernel. Programs built before macOS was called 26 are told that it is 16; nobody
 * is told another kernel.
 */
const FIRST_KERNEL = [25, 2] as const;

/** Whether the build for macOS 26.2 runs here and has accelerators to use. */
export function isAccelerated({ kernel, chip, wish }: Machine): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map(Number);
  const [firstMajor, firstMinor] = FIRST_KERNEL;
  const runs = major > firstMajor || (major === firstMajor && minor >= firstMinor);
  if (!runs || wish === "plain") {
    return false;
  }
  return wish === "accelerated" || Number(/^Apple M(\d+)/.exec(chip)?.[1] ?? 0) >= FIRST_CHIP;
}

/** Puts the accelerated build before the one among the package's Python packages, where it fits. */
export function mlxEnvironment(resources: string, machine: Machine): Record<string, string> {
  return isAccelerated(machine) ? { PYTHONPATH: join(resources, ACCELERATED_FOLDER) } : {};
}
