/** What `chatrandom status` tells, read from the Redis of a cluster or of one appliance. Nothing is written. */
import { findEmbeddedRedis } from "./embedded/redis.ts";
import { Failure } from "./failure.ts";
import { redisRegistry } from "./links/redis-registry.ts";
import { RedisMatcher } from "./matching/redis-matcher.ts";
import { DEFAULT_RULES } from "./matching/rules.ts";
import { withoutPassword } from "./redis/address.ts";
import { connectRedis } from "./redis/client.ts";
import { PREFIX } from "./redis/keys.ts";

export interface NodeStatus {
  id: string;
  /** Empty, as the two that follow, when the node has not said so. */
  machine: string;
  version: string;
  /** Where other nodes reach it; empty for one that is alone. */
  endpoint: string;
  /** How many of its links with other nodes are up, of how many there are; null when it has not said so. */
  links: { up: number; of: number } | null;
  online: number;
  waiting: number;
  /** For how many ms it still holds its lease; 0 or less when the node is dead and its visitors may still resume. */
  lease: number;
}

export interface Status {
  nodes: NodeStatus[];
  pool: {
    video: number;
    text: number;
    /** Most wished first, the most wished ones only. */
    interests: { interest: string; waiting: number }[];
  };
  /** Of the nodes that live. */
  total: { nodes: number; online: number; waiting: number };
}

const TOP_INTERESTS = 20;
const ANSWER_MS = 5_000;

/**
 * @param where the address of a Redis, or the data directory of `serve`
 * @throws Failure with one line for the operator when it cannot be reached
 */
export async function readStatus(where: { redis: string } | { dataDir: string }): Promise<Status> {
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
    const matcher = new RedisMatcher({ redis, prefix: PREFIX, rules: DEFAULT_RULES });
    const { nodes, waiting, interests } = await matcher.census(TOP_INTERESTS);
    const cards = await redisRegistry(redis, PREFIX).look(nodes.map(({ node }) => node));
    const cardOf = new Map(cards.map((card) => [card.node, card]));
    const living = nodes.filter(({ lease }) => lease > 0);
    return {
      nodes: nodes.map(({ node, lease, online, waiting }) => {
        const { machine = "", version = "", endpoint = "", links = null } = cardOf.get(node) ?? {};
        return { id: node, machine, version, endpoint, links, online, waiting, lease };
      }),
      pool: { ...waiting, interests },
      total: {
        nodes: living.length,
        online: living.reduce((sum, { online }) => sum + online, 0),
        waiting: living.reduce((sum, { waiting }) => sum + waiting, 0),
      },
    };
  } catch (error) {
    throw new Failure(`${withoutPassword(target)}: ${(error as Error).message}`, 1, { cause: error });
  } finally {
    await redis.close();
  }
}
