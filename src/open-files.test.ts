import { expect, test } from "vitest";
import { connectionsIn, mostOpenFiles, openFiles, visitorsIn } from "./open-files.ts";

const limits = (soft: string, hard: string) => `Limit  Soft Limit  Hard Limit  Units
Max processes             100                  100                  processes
Max open files            ${soft}                 ${hard}               files
`;

test("the limit is read from what the system tells", () => {
  expect(openFiles(limits("1024", "4096"))).toEqual({ soft: 1024, hard: 4096 });
  expect(openFiles(limits("1024", "unlimited"))).toEqual({ soft: 1024, hard: Number.POSITIVE_INFINITY });
  expect([openFiles(undefined), openFiles("")]).toEqual([undefined, undefined]);
  expect(mostOpenFiles()).toBeGreaterThan(0);
});

test.each([
  [60, 30, 27],
  [1_024, 924, 831],
  [65_536, 65_436, 58_892],
  [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
])("%d are enough for %d connections, and for %d visitors", (limit, connections, visitors) => {
  expect([connectionsIn(limit), visitorsIn(limit)]).toEqual([connections, visitors]);
});
