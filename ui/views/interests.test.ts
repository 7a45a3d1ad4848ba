import { expect, test } from "vitest";
import { addInterests, tidyInterest } from "./interests.ts";

test("an interest is trimmed, spaced once and composed", () => {
  expect(tidyInterest("  film \t noir ")).toBe("film noir");
  expect(tidyInterest("Cafe\u0301")).toBe("Caf\u00e9");
  expect(tidyInterest(" \n ")).toBe("");
});

test("an interest has at most 32 characters, and an emoji counts as one and is never cut in half", () => {
  expect([...tidyInterest("🎬".repeat(40))]).toEqual(Array(32).fill("🎬"));
  expect(tidyInterest(`${"a".repeat(31)} b`)).toBe("a".repeat(31));
});

test("commas, semicolons and line ends divide, blanks between them vanish", () => {
  expect(addInterests([], "film, cycling;  chess\ntea,,")).toEqual(["film", "cycling", "chess", "tea"]);
});

test("the same interest in another case or composition is kept once, as first written", () => {
  expect(addInterests(["Film"], "FILM, film , Caf\u00e9, cafe\u0301")).toEqual(["Film", "Caf\u00e9"]);
});

test("there are never more than ten", () => {
  const ten = addInterests([], Array.from({ length: 30 }, (_, i) => `i${i}`).join(","));
  expect(ten).toHaveLength(10);
  expect(addInterests(ten, "one more")).toEqual(ten);
});
