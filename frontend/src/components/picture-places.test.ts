import { expect, test } from "vitest";
import { placeInText, placeInTokens } from "@/components/picture-places";

test("a picture stands where its mark is", () => {
  expect(placeInText("<image>How wide is <image>?", 2)).toEqual([0, "How wide is ", 1, "?"]);
});

test("pictures without marks of their own stand in front, and no word is lost", () => {
  expect(placeInText("How wide?", 2)).toEqual([0, 1, "How wide?"]);
  expect(placeInText("Write <image> in HTML", 0)).toEqual(["Write <image> in HTML"]);
  expect(placeInText("<image><image> one", 1)).toEqual([0, "<image><image> one"]);
});

test("a placeholder between its markers is a picture among the tokens", () => {
  const tokens = ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "How"];
  expect(placeInTokens(tokens, 1)).toEqual(["<|vision_start|>", 0, "<|vision_end|>", "How"]);
});

test("a placeholder that somebody typed is words, as it is to the model", () => {
  const typed = ["a", "<|image_pad|>", "b"];
  expect(placeInTokens(typed, 1)).toEqual(typed);
  const drawn = ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>"];
  const second = placeInTokens([...drawn, ...drawn], 1).slice(3);
  expect(second).toEqual(drawn);
});
