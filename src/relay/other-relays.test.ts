import { expect, test } from "vitest";
import { redisRegistry } from "../links/redis-registry.ts";
import type { NodeCard } from "../links/registry.ts";
import type { RedisClient } from "../redis/scripts.ts";
import { otherRelays } from "./other-relays.ts";

const card = (node: string, relay?: unknown) =>
  ({
    node,
    endpoint: "tcp://10.0.0.1:1",
    publicKey: "k",
    version: "1",
    machine: "m",
    startedAt: 1,
    relay,
  }) as NodeCard;

/** A registry on a Redis that holds these cards. */
const registryWith = (...cards: NodeCard[]) => {
  const texts = new Map(cards.map((each) => [each.node, JSON.stringify(each)]));
  const client = {
    hmget: async (_key: string, ...nodes: string[]) => nodes.map((node) => texts.get(node) ?? null),
  };
  return redisRegistry({ client: client as unknown as RedisClient }, "test:");
};
const look = async (...cards: NodeCard[]) => {
  const { registry, places } = otherRelays(registryWith(...cards), () => ({
    hosts: ["10.0.0.1"],
    port: 3478,
  }));
  const found = await registry.look(cards.map(({ node }) => node));
  return { found, places: places() };
};

test("the relays of other nodes are known from their cards: one for all workers of a machine, and not our own", async () => {
  const there = { hosts: ["10.0.0.2", "2001:db8::2"], port: 3478 };
  const { found, places } = await look(
    card("our other worker", { hosts: ["10.0.0.1"], port: 3478 }),
    card("b1", there),
    card("b2", there),
    card("without"),
    card("c", { hosts: ["10.0.0.1"], port: 3479 }),
  );
  expect(found).toHaveLength(5);
  expect(places).toEqual([there, { hosts: ["10.0.0.1"], port: 3479 }]);
});

test.each([
  [{ hosts: [], port: 1 }],
  [{ hosts: ["relay.example"], port: 1 }],
  [{ hosts: ["10.0.0.2?transport=tcp"], port: 1 }],
  [{ hosts: ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5"], port: 1 }],
  [{ hosts: ["10.0.0.2"], port: 0 }],
  [{ hosts: ["10.0.0.2"], port: "80" }],
  [{ hosts: "10.0.0.2", port: 80 }],
  ["10.0.0.2:80"],
  [null],
])("%j in a card is no relay, and the card is good all the same", async (relay) => {
  const { found, places } = await look(card("b", relay));
  expect(found).toHaveLength(1);
  expect(places).toEqual([]);
});

test("what was found before the next look stays, and goes with its node", async () => {
  const relays = otherRelays(registryWith(card("b", { hosts: ["10.0.0.2"], port: 1 })), () => undefined);
  expect(relays.places()).toEqual([]);
  await relays.registry.look(["b"]);
  expect(relays.places()).toHaveLength(1);
  await relays.registry.look([]);
  expect(relays.places()).toEqual([]);
});
