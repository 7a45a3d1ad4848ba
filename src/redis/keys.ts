/**
 * The one place where keys are built. What is in braces is the hash tag: Redis Cluster keeps all keys of one tag in
 * one slot, so that one script may touch them.
 */

/** Before every key of the pool; the suffixes are in `src/matching/lua/pool.lua`. */
export const poolKeys = (prefix: string): string => `${prefix}{pool}:`;

/** The stream of reports. */
export const reportsKey = (prefix: string): string => `${prefix}reports`;

/** The hash of nodes and how to find them. */
export const registryKey = (prefix: string): string => `${prefix}nodes`;
