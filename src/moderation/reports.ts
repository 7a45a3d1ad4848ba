/** Reports of visitors, kept in Redis: a stream, newest last, the oldest beyond the bound give way. */
import type { Reports, StoredReport } from "../node/contracts.ts";
import { reportedKey, reportsKey } from "../redis/keys.ts";
import type { RedisClient } from "../redis/scripts.ts";

/** About 200 bytes each: a few megabytes at most. */
const MOST_REPORTS = 20_000;
/** Longer than a pair can be reported after its end. */
const REMEMBERED_S = 600;

/** The newest reports, newest first, `most` at the most. */
export async function newestReports(
  client: RedisClient,
  prefix: string,
  most: number,
): Promise<StoredReport[]> {
  const entries = await client.xrevrange(reportsKey(prefix), "+", "-", "COUNT", most);
  return entries.map(([, fields]) => JSON.parse(fields[1]!) as StoredReport);
}

/** Asks for its client at every call: one that has ended for good is replaced. */
export function redisReports(redis: { readonly client: RedisClient }, prefix: string): Reports {
  const key = reportsKey(prefix);
  const underWay = new Map<string, Promise<boolean>>();

  async function store(report: StoredReport, reported: string): Promise<boolean> {
    const { client } = redis;
    if (await client.exists(reported)) return false;
    await client.xadd(key, "MAXLEN", "~", MOST_REPORTS, "*", "report", JSON.stringify(report));
    // Only now: a report whose storing failed is sent again.
    await client.set(reported, "", "EX", REMEMBERED_S);
    return true;
  }

  return {
    async add(report: StoredReport) {
      const reported = reportedKey(prefix, report.pair, report.reporterDevice);
      // One after the other: of two at once neither would find that the pair is reported already.
      const before = underWay.get(reported);
      const storing = before
        ? before.catch(() => {}).then(() => store(report, reported))
        : store(report, reported);
      underWay.set(reported, storing);
      try {
        return await storing;
      } finally {
        if (underWay.get(reported) === storing) underWay.delete(reported);
      }
    },
  };
}
