/** How often a worker says that it is alive, in ms. */
export const BEAT_MS = 1_000;
