import { expect, test } from "vitest";
import { CloseCode } from "../../src/protocol/close-codes.ts";
import { drainDelay, reconnectDelay } from "./reconnect.ts";

const delay = (attempt: number, code = 1006, random = 0.5, retryAfter?: number) =>
  reconnectDelay({ attempt, code, random, retryAfter });

test("close codes 4400 to 4499 and codes of others mean: connect again", () => {
  for (const code of [
    CloseCode.draining,
    CloseCode.tooSlow,
    CloseCode.heartbeatLost,
    4499,
    1001,
    1006,
    1011,
    4600,
  ]) {
    expect(delay(0, code)).not.toBeNull();
  }
});

test("close codes 4500 to 4599 mean: do not retry by yourself", () => {
  for (const code of [CloseCode.banned, CloseCode.superseded, CloseCode.notAdmitted, 4599]) {
    expect(delay(0, code)).toBeNull();
  }
});

test("delays grow, are bounded and spread", () => {
  const middle = [0, 1, 2, 3, 4, 5, 50].map((attempt) => delay(attempt) ?? NaN);
  expect(middle).toEqual(middle.toSorted((a, b) => a - b));
  for (const attempt of [0, 1, 2, 10]) {
    expect(delay(attempt, 1006, 0.99)).toBeGreaterThan((delay(attempt, 1006, 0) ?? NaN) * 1.4);
    expect(delay(attempt, 1006, 0.999)).toBeLessThanOrEqual(15_000);
  }
});

test("S2: several attempts fit into the grace of a session", () => {
  const worst = [0, 1, 2, 3].map((attempt) => delay(attempt, 1006, 0.999) ?? NaN);
  expect(worst.reduce((sum, ms) => sum + ms)).toBeLessThan(20_000);
});

test("a time that the node asked for is kept", () => {
  expect(delay(0, 1006, 0, 30)).toBe(30_000);
  expect(delay(9, 1006, 0.9, 1)).toBeGreaterThan(10_000);
});

test("pages leave a draining node spread over the time given", () => {
  expect(drainDelay(10_000, 0)).toBe(0);
  expect(drainDelay(10_000, 0.5)).toBe(4_000);
  expect(drainDelay(10_000, 0.999)).toBeLessThan(10_000);
  expect(drainDelay(-1, 0.5)).toBe(0);
});
