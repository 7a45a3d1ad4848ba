/** What `chatrandom status` tells, read from the Redis of a cluster or of one appliance. Nothing is written. */
import { redisRegistry } from "./links/redis-registry.ts";
import { RedisMatcher } from "./matching/redis-matcher.ts";
import { DEFAULT_RULES } from "./matching/rules.ts";
import { PREFIX } from "./redis/keys.ts";
import type { RedisConnection } from "./redis/client.ts";
import { lookInto, type Where } from "./store-of.ts";

export interface NodeStatus {
  id: string;
  /** Empty, as the two that follow, when the node has not said so. */
  machine: string;
  version: string;
  /** Where other nodes reach it; empty for one that is alone. */
  endpoint: string;
  /** How many of its links with other nodes are up, of how many there are; null when it has not said so. */
  links: { up: number; of: number } | null;
  /** As of its last renewal, up to a second ago; 0 when the node is dead: who was there is elsewhere by now, or absent. */
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

/** @throws Failure with one line for the operator when it cannot be reached */
export function readStatus(where: Where, warn: (text: string) => void = () => {}): Promise<Status> {
  const look = async (redis: RedisConnection): Promise<Status> => {
    const matcher = new RedisMatcher({ redis, prefix: PREFIX, rules: DEFAULT_RULES });
    const { nodes, waiting, interests } = await matcher.census(TOP_INTERESTS);
    const cards = await redisRegistry(redis, PREFIX).look(nodes.map(({ node }) => node));
    const cardOf = new Map(cards.map((card) => [card.node, card]));
    const living = nodes.filter(({ lease }) => lease > 0);
    return {
      nodes: nodes.map(({ node, lease, online, waiting }) => {
        const { machine = "", version = "", endpoint = "", links = null } = cardOf.get(node) ?? {};
        const load = lease > 0 ? { online, waiting } : { online: 0, waiting: 0 };
        return { id: node, machine, version, endpoint, links, ...load, lease };
      }),
      pool: { ...waiting, interests },
      total: {
        nodes: living.length,
        online: living.reduce((sum, { online }) => sum + online, 0),
        waiting: living.reduce((sum, { waiting }) => sum + waiting, 0),
      },
    };
  };
  return lookInto(where, look, warn);
}
