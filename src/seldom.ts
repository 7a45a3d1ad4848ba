import type { Clock } from "./clock.ts";

/** What may be called often and is done at most once in so many ms, such as a line in the log; its answer is the last one. */
export function seldom<Answer>(clock: Clock, ms: number, what: () => Answer): () => Answer {
  let last = Number.NEGATIVE_INFINITY;
  let answer: Answer;
  return () => {
    if (clock.now() - last >= ms) {
      last = clock.now();
      answer = what();
    }
    return answer;
  };
}
