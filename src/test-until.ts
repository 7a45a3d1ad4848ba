/** How tests wait: for a condition and never for a time. */
import { vi } from "vitest";

/** Ends a test that would wait for ever; no wait takes nearly as long, however busy the machine. */
const BOUND_MS = 45_000;

/** Waits until it holds, and answers what held. What costs something is to be asked less often. */
export const until = <T>(condition: () => T | Promise<T>, everyMs = 1) =>
  vi.waitUntil(condition, { timeout: BOUND_MS, interval: everyMs });

/** Waits until it throws no more, and answers what it answered. */
export const eventually = <T>(check: () => T | Promise<T>, everyMs = 1): Promise<T> =>
  vi.waitFor(check, { timeout: BOUND_MS, interval: everyMs });
