import { expect, test } from "vitest";
import { searchOfView, viewOf } from "@/features/runs/views";

test("a view brings the list back as it was and takes the rest back", () => {
  const view = viewOf("mine", { sort: "loss", group: "seed", selected: ["a"] });
  const back = searchOfView(view);
  expect(back).toMatchObject({ sort: "loss", group: "seed" });
  expect("q" in back && "filter" in back && back.selected === undefined).toBe(true);
});

test("a view that cannot be read is the plain list", () => {
  for (const search of ["{", "7", '{"sort": 3}']) {
    expect(Object.values(searchOfView({ name: "x", search })).every((it) => it === undefined)).toBe(
      true,
    );
  }
});
