/** The registry in Redis: one hash, node → card as JSON. */
import { isIP } from "node:net";
import { registryKey } from "../redis/keys.ts";
import type { RedisClient } from "../redis/scripts.ts";
import type { NodeCard, Registry } from "./registry.ts";

/** Asks for its client at every call: one that has ended for good is replaced. */
export function redisRegistry(
  redis: { readonly client: RedisClient },
  prefix: string,
  own?: NodeCard,
): Registry {
  const key = registryKey(prefix);
  const known = new Map<string, NodeCard>();
  return {
    async announce() {
      if (own) await redis.client.hset(key, own.node, JSON.stringify(own));
    },
    async look(nodes) {
      for (const node of known.keys()) if (!nodes.includes(node)) known.delete(node);
      const unknown = nodes.filter((node) => !known.has(node));
      if (unknown.length > 0) {
        const texts = await redis.client.hmget(key, ...unknown);
        for (const text of texts) {
          const card = text === null ? undefined : readCard(text);
          if (card) known.set(card.node, card);
        }
      }
      return [...known.values()];
    },
    async remove(nodes) {
      if (nodes.length > 0) await redis.client.hdel(key, ...nodes);
    },
  };
}

/** Another version of ours may have written it, or anybody who can write to Redis. */
function readCard(text: string): NodeCard | undefined {
  try {
    const card = JSON.parse(text) as Partial<Record<keyof NodeCard, unknown>> | null;
    const { node, endpoint, publicKey, version, machine, startedAt } = card ?? {};
    const relay = readRelay(card?.relay);
    if (typeof node !== "string" || typeof endpoint !== "string" || typeof publicKey !== "string")
      return undefined;
    return {
      node,
      endpoint,
      publicKey,
      version: String(version ?? ""),
      machine: String(machine ?? ""),
      startedAt: Number(startedAt) || 0,
      ...(relay && { relay }),
    };
  } catch {
    return undefined;
  }
}

const MAX_RELAY_HOSTS = 4;

/** Goes to every visitor's browser, so it is an address or it is nothing. */
function readRelay(value: unknown): NodeCard["relay"] {
  const { hosts, port } = (value ?? {}) as { hosts?: unknown; port?: unknown };
  if (!Array.isArray(hosts) || hosts.length === 0 || hosts.length > MAX_RELAY_HOSTS) return undefined;
  if (!hosts.every((host) => typeof host === "string" && isIP(host) !== 0)) return undefined;
  if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65_535) return undefined;
  return { hosts: hosts as string[], port: port as number };
}
