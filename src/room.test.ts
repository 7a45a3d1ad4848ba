import { expect, test, vi } from "vitest";
import { roomFor } from "./room.ts";
import { StillClock } from "./still-clock.ts";

function room(most: number, openFiles: number) {
  const clock = new StillClock();
  const warn = vi.fn();
  return { clock, warn, ...roomFor(most, { clock, log: { warn }, openFiles }) };
}

test("that it is full is said once an hour at most", () => {
  const { clock, warn, noConnection, noVisitor } = room(100, 1_024);
  for (let n = 0; n < 5; n += 1) noConnection();
  noVisitor();
  expect(warn).toHaveBeenCalledTimes(2);
  clock.move(3_600_000);
  noConnection();
  expect(warn).toHaveBeenCalledTimes(3);
});

test.each([
  ["session.max", 100, 1_024, [100, 924], /as many visitors as session\.max admits/],
  ["the limit of open files", 20_000, 1_024, [831, 924], /LimitNOFILE/],
])("full by %s it says what to change", (_, most, openFiles, bounds, text) => {
  const { warn, noVisitor, visitors, connections } = room(most, openFiles);
  expect([visitors, connections]).toEqual(bounds);
  noVisitor();
  expect(warn).toHaveBeenCalledWith({ sessions: visitors, openFiles }, expect.stringMatching(text));
});
