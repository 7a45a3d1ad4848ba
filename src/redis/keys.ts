/**
 * The one place where keys are built. What is in braces is the hash tag: Redis Cluster keeps all keys of one tag in
 * one slot, so that one script may touch them. Keys without one are touched one at a time.
 */

/** Before every key of ours, so that others may use the same Redis. No brace may stand in it. */
export const PREFIX = "chatrandom:";

/** Before every key of the pool; the suffixes are in `src/matching/lua/pool.lua`. */
export const poolKeys = (prefix: string): string => `${prefix}{pool}:`;

/** The stream of reports. */
export const reportsKey = (prefix: string): string => `${prefix}reports`;

/** Says that somebody has reported a pair already: again and again would push the reports of others out of the stream. */
export const reportedKey = (prefix: string, pair: string, device: string): string =>
  `${prefix}reported:${pair}:${device}`;

/** The hash of nodes and how to find them. */
export const registryKey = (prefix: string): string => `${prefix}nodes`;

/** Before the keys of what an authority gave for a domain; the suffixes are in `src/tls/redis-store.ts`. */
export const acmeKeys = (prefix: string, authority: string, domain: string): string =>
  `${prefix}{acme}:${authority}:${domain}:`;
