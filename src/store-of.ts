/** The Redis of a cluster or of one appliance, for commands that look into it. */
import { findEmbeddedRedis } from "./embedded/redis.ts";
import { Failure } from "./failure.ts";
import { withoutPassword } from "./redis/address.ts";
import { connectRedis } from "./redis/client.ts";
import type { RedisConnection } from "./redis/client.ts";

/** The address of a Redis, or the data directory of `serve`. */
export type Where = { redis: string } | { dataDir: string };

const ANSWER_MS = 5_000;

/**
 * What `look` finds there. A replica will do: it may be all that is left of a Redis, or all that is reached; `warn` is told.
 * @throws Failure with one line for the operator when it cannot be reached
 */
export async function lookInto<Found>(
  where: Where,
  look: (redis: RedisConnection) => Promise<Found>,
  warn: (text: string) => void,
): Promise<Found> {
  const target = "redis" in where ? where.redis : await findEmbeddedRedis(where.dataDir);
  if (target === undefined) {
    const { dataDir } = where as { dataDir: string };
    throw new Failure(
      `no chatrandom serve runs on the data directory ${dataDir}, or it belongs to another user. ` +
        "Choose another with --data-dir, or a cluster with --redis",
    );
  }
  const redis = connectRedis(target, {}, true);
  try {
    await redis.check(ANSWER_MS);
    const info = await redis.client.info("replication").catch(() => "");
    if (/^role:slave/m.test(info)) warn(behind(info));
    return await look(redis);
  } catch (error) {
    throw new Failure(`${withoutPassword(target)}: ${(error as Error).message}`, 1, { cause: error });
  } finally {
    await redis.close();
  }
}

function behind(info: string): string {
  const isLinked = /^master_link_status:up/m.test(info);
  const since = /^master_link_down_since_seconds:(\d+)/m.exec(info)?.[1];
  const how = isLinked ? "which may lag behind its master" : "which has lost its master";
  return `this Redis is a replica ${how}${!isLinked && since ? `: this is as it was ${since} s ago or before` : ""}`;
}
