/** Time as the code sees it, so that tests can hold it still. */
export interface Clock {
  /** Monotonic, in ms. */
  now(): number;
  /** Runs `what` once after `ms`; the returned function cancels it. */
  after(ms: number, what: () => void): () => void;
  /** Runs `what` every `ms`; the returned function stops it. */
  every(ms: number, what: () => void): () => void;
}

export const realClock: Clock = {
  now: () => performance.now(),
  after(ms, what) {
    const timer = setTimeout(what, ms);
    return () => clearTimeout(timer);
  },
  every(ms, what) {
    const timer = setInterval(what, ms);
    return () => clearInterval(timer);
  },
};
