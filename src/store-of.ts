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
 * What `look` finds there.
 * @throws Failure with one line for the operator when it cannot be reached
 */
export async function lookInto<Found>(
  where: Where,
  look: (redis: RedisConnection) => Promise<Found>,
): Promise<Found> {
  const target = "redis" in where ? where.redis : await findEmbeddedRedis(where.dataDir);
  if (target === undefined) {
    const { dataDir } = where as { dataDir: string };
    throw new Failure(
      `no chatrandom serve runs on the data directory ${dataDir}, or it belongs to another user. ` +
        "Choose another with --data-dir, or a cluster with --redis",
    );
  }
  const redis = connectRedis(target);
  try {
    await redis.check(ANSWER_MS);
    return await look(redis);
  } catch (error) {
    throw new Failure(`${withoutPassword(target)}: ${(error as Error).message}`, 1, { cause: error });
  } finally {
    await redis.close();
  }
}
