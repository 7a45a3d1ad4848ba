/** Time as the model sees it, injected so that tests pass hours in microseconds. */
export interface Clock {
  /** Milliseconds, from any start. */
  now(): number;
  /** Runs `run` once after `ms` milliseconds; the returned function calls it off and may be called at any time. */
  after(ms: number, run: () => void): () => void;
}
