/**
 * When to connect again: a pure policy. A node that dies drops thousands of pages in the same moment, so every delay
 * carries jitter; the first ones are short, because a session outlives its socket by 20 s only (rule S2).
 */
import { mayReconnect } from "../../src/protocol/close-codes.ts";

const FIRST_MS = 1_000;
const LONGEST_MS = 15_000;

export interface ReconnectContext {
  /** Attempts that failed since the last connection that lasted; 0 for the first. */
  attempt: number;
  /** The close code; 1006 when nothing was heard. */
  code: number;
  /** Seconds that the node asked for, if it did. */
  retryAfter?: number;
  /** In [0, 1). */
  random: number;
}

/** Milliseconds until the next attempt, or null when only the visitor may try again. */
export function reconnectDelay({ attempt, code, retryAfter = 0, random }: ReconnectContext): number | null {
  if (!mayReconnect(code)) return null;
  const asked = retryAfter * 1000 * (1 + random / 4);
  if (attempt === 0) return Math.max(asked, FIRST_MS * random);
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return Math.max(asked, (longest * (1 + random)) / 2);
}

/** Milliseconds until a page leaves a node that drains: spread over the time given, with some to spare. */
export function drainDelay(afterMs: number, random: number): number {
  return Math.max(0, afterMs) * 0.8 * random;
}
