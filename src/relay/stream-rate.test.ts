import { expect, test } from "vitest";
import { STREAMS, streamRate } from "./stream-rate.ts";

test("one address brings so many at once and then so many a second; others are not counted with it", () => {
  const admits = streamRate();
  const admitted = (key: string | undefined, now: number) =>
    Array.from({ length: 2 * STREAMS.burst }, () => admits(key, now)).filter(Boolean).length;
  expect(admitted("a", 0)).toBe(STREAMS.burst);
  expect(admitted("b", 0)).toBe(STREAMS.burst);
  expect(admitted("a", 1_000)).toBe(STREAMS.perSecond);
  expect(admitted(undefined, 0)).toBe(2 * STREAMS.burst);
});

test("with very many addresses the oldest is forgotten", () => {
  const admits = streamRate();
  for (let n = 0; n < STREAMS.burst; n += 1) admits("a", 0);
  expect(admits("a", 0)).toBe(false);
  for (let n = 0; n < 10_000; n += 1) admits(`b${n}`, 0);
  expect(admits("a", 0)).toBe(true);
});
