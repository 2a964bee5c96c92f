import { expect, test } from "vitest";
import { roughDuration } from "@/features/models/rough-duration";

test("the longer a run takes, the rounder its time is said", () => {
  const hour = 3600;
  const said = [40, 5 * hour + 120, 36.3 * hour, 391.6 * 24 * hour].map(roughDuration);
  expect(said).toEqual(["40 s", "5 h 2 min", "36 h", "392 d"]);
});
