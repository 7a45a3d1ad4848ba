/** Signals that are kept for a side that is not there (S2). */
import { MAX_HELD_BYTES, MAX_HELD_SIGNALS } from "../protocol/limits.ts";

/** Whether one more of so many bytes may be kept beside those that are. */
export function hasRoom(held: readonly Uint8Array[], { byteLength }: Uint8Array): boolean {
  if (held.length >= MAX_HELD_SIGNALS) return false;
  return held.reduce((sum, raw) => sum + raw.byteLength, byteLength) <= MAX_HELD_BYTES;
}
