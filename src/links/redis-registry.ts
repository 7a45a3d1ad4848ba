/** The registry in Redis: one hash, node → card as JSON. */
import { isIP } from "node:net";
import { registryKey } from "../redis/keys.ts";
import type { RedisClient } from "../redis/scripts.ts";
import type { NodeCard, Registry } from "./registry.ts";

/** So many looks, one a second, and all cards are read anew: a node may say something else of itself than it did. */
export const LOOKS_ANEW = 60;

/** Asks for its client at every call: one that has ended for good is replaced. */
export function redisRegistry(
  redis: { readonly client: RedisClient },
  prefix: string,
  own?: NodeCard,
): Registry {
  const key = registryKey(prefix);
  const known = new Map<string, NodeCard>();
  let announced: string | undefined;
  let looks = 0;
  const announce = async (): Promise<void> => {
    if (!own) return;
    const text = JSON.stringify(own);
    await redis.client.hset(key, own.node, text);
    announced = text;
  };
  return {
    announce,
    async look(nodes) {
      if (announced !== undefined && announced !== JSON.stringify(own)) await announce();
      for (const node of known.keys()) if (!nodes.includes(node)) known.delete(node);
      looks += 1;
      const anew = looks % LOOKS_ANEW === 0;
      const wanted = nodes.filter((node) => anew || !known.has(node));
      if (wanted.length > 0) {
        const texts = await redis.client.hmget(key, ...wanted);
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
    const { node, endpoint, local, publicKey, version, machine, startedAt } = card ?? {};
    const links = readLinks(card?.links);
    const relay = readRelay(card?.relay);
    if (typeof node !== "string" || typeof endpoint !== "string" || typeof publicKey !== "string")
      return undefined;
    return {
      node,
      endpoint,
      ...(typeof local === "string" && { local }),
      publicKey,
      version: String(version ?? ""),
      machine: String(machine ?? ""),
      startedAt: Number(startedAt) || 0,
      ...(links && { links }),
      ...(relay && { relay }),
    };
  } catch {
    return undefined;
  }
}

function readLinks(value: unknown): NodeCard["links"] {
  const { up, of } = (value ?? {}) as { up?: unknown; of?: unknown };
  const isCount = (count: unknown): count is number => Number.isSafeInteger(count) && (count as number) >= 0;
  return isCount(up) && isCount(of) ? { up, of } : undefined;
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
