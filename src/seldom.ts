import type { Clock } from "./clock.ts";

/** What may be called often and is done at most once in so many ms, such as a line in the log. */
export function seldom(clock: Clock, ms: number, what: () => void): () => void {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.now() - last < ms) return;
    last = clock.now();
    what();
  };
}
