import { expect, test } from "vitest";
import { closest } from "./closest.ts";

const names = ["port", "host", "session.grace", "session.max"];

test.each([
  ["prot", "port"],
  ["Port", "port"],
  ["hots", "host"],
  ["sesion.grace", "session.grace"],
  ["session.graze", "session.grace"],
  ["session_max", "session.max"],
  ["something.else", undefined],
  ["x", undefined],
  ["", undefined],
])("%s means %s", (word, meant) => expect(closest(word, names)).toBe(meant));

test("a word of any length is answered at once", () => {
  expect(closest("port".repeat(1_000_000), names)).toBeUndefined();
});
