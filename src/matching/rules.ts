import type { Rules } from "./matcher.ts";

/** The rules' own numbers (M4, M6, S2); the operator may set others. */
export const DEFAULT_RULES: Rules = {
  interestsAfter: 5_000,
  languagesAfter: 10_000,
  recentAfter: 10_000,
  recentFor: 30 * 60_000,
  recentMost: 10,
  blockFor: 24 * 60 * 60_000,
  grace: 20_000,
  lease: 5_000,
};

/** How many blocks a device has at most; its newest stay. Bounds what one device can make the store remember. */
export const MOST_BLOCKS = 1_000;

/**
 * How many sessions of a device may wait or be in a pair (T7). They stand in the same lists and are passed over by each
 * other: this bounds what one device can make a find cost.
 */
export const MOST_PLACES = 8;

/** How many sessions of a dead node one `reap` deals with, so that none takes long. */
export const REAP_MOST = 50;
