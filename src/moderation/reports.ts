/** Reports of visitors, kept in Redis: a stream, newest last, the oldest beyond the bound give way. */
import type { Reports, StoredReport } from "../node/contracts.ts";
import { reportsKey } from "../redis/keys.ts";
import type { RedisClient } from "../redis/scripts.ts";

/** About 200 bytes each: a few megabytes at most. */
const MOST_REPORTS = 20_000;

/** Asks for its client at every call: one that has ended for good is replaced. */
export function redisReports(redis: { readonly client: RedisClient }, prefix: string): Reports {
  const key = reportsKey(prefix);
  return {
    async add(report: StoredReport) {
      await redis.client.xadd(key, "MAXLEN", "~", MOST_REPORTS, "*", "report", JSON.stringify(report));
    },
  };
}
