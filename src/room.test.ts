import { expect, test, vi } from "vitest";
import { roomFor } from "./room.ts";
import { StillClock } from "./still-clock.ts";

function room(visitors: number, openFiles: number, streams = 4_000) {
  const clock = new StillClock();
  const warn = vi.fn();
  return { clock, warn, ...roomFor({ visitors, streams }, { clock, log: { warn }, openFiles }) };
}

test("that it is full is said once an hour at most", () => {
  const { clock, warn, noConnection, noVisitor, noStream } = room(100, 1_024);
  for (let n = 0; n < 5; n += 1) noConnection();
  noVisitor();
  noStream();
  expect(warn).toHaveBeenCalledTimes(3);
  clock.move(3_600_000);
  noConnection();
  expect(warn).toHaveBeenCalledTimes(4);
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

test.each([
  ["turn.max_allocations", 100, 1_024, 100, /as many connections to the relay as turn\.max_allocations/],
  ["a quarter of all connections", 4_000, 1_024, 231, /connections to the relay.*LimitNOFILE/],
  [
    "nothing else where open files have no limit",
    4_000,
    Number.POSITIVE_INFINITY,
    4_000,
    /turn\.max_allocations/,
  ],
])("streams of the relay are bounded by %s", (_, most, openFiles, bound, text) => {
  const { warn, noStream, streams } = room(100, openFiles, most);
  expect(streams).toBe(bound);
  noStream();
  expect(warn).toHaveBeenCalledWith({ sessions: 100, openFiles }, expect.stringMatching(text));
});

test("a burst of streams never takes more descriptors than there are connections", () => {
  const { connections, streams, beside } = room(100, 200);
  let [open, arrivals, handed] = [0, 0, 0];
  for (let n = 0; n < 300; n += 1) {
    if (open < beside(handed, arrivals)) [open, arrivals] = [open + 1, arrivals + 1];
  }
  for (; arrivals > 0; arrivals -= 1) {
    if (handed < streams) handed += 1;
    else open -= 1;
  }
  expect([handed, open]).toEqual([25, 25]);
  while (open < beside(handed, 0)) open += 1;
  expect(open + handed).toBe(connections);
});
