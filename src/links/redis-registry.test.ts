import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connectRedis } from "../redis/client.ts";
import type { RedisConnection } from "../redis/client.ts";
import { registryKey } from "../redis/keys.ts";
import { startTestRedis } from "../redis/test-server.ts";
import type { TestRedis } from "../redis/test-server.ts";
import { LOOKS_ANEW, redisRegistry } from "./redis-registry.ts";
import type { NodeCard } from "./registry.ts";

let server: TestRedis;
let redis: RedisConnection;
beforeAll(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url);
  await redis.check(5_000);
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

const card = (node: string): NodeCard => ({
  node,
  endpoint: `tcp://10.0.0.1:${node.length}`,
  publicKey: "k".repeat(40),
  version: "1",
  machine: "m",
  startedAt: 7,
});

/** Two nodes on keys that nobody else has: what each says of itself, and its registry. */
function nodes() {
  const prefix = `${randomBytes(6).toString("hex")}:`;
  const node = (own: NodeCard) => ({ own, ...redisRegistry(redis, prefix, own) });
  const write = (node: string, text: string) => redis.client.hset(registryKey(prefix), node, text);
  return { one: node(card("one")), two: node(card("two")), write };
}

test("who has announced itself is found until it is removed, and is asked for once", async () => {
  const { one, two } = nodes();
  await two.announce();
  const asked = vi.spyOn(redis.client, "hmget");
  expect(await one.look(["two", "three"])).toEqual([card("two")]);
  expect(await one.look(["two"])).toEqual([card("two")]);
  expect(asked).toHaveBeenCalledOnce();
  asked.mockRestore();
  expect(await one.look([])).toEqual([]);
  await one.remove(["two"]);
  expect(await one.look(["two"])).toEqual([]);
});

test("a node that says something else of itself now is heard by others, before long", async () => {
  const { one, two } = nodes();
  await two.announce();
  expect(await one.look(["two"])).toEqual([card("two")]);
  const relay = { hosts: ["203.0.113.7"], port: 3478 };
  two.own.relay = relay;
  await two.look(["one"]);
  let found: NodeCard[] = [];
  for (let n = 0; n < LOOKS_ANEW; n += 1) found = await one.look(["two"]);
  expect(found).toEqual([{ ...card("two"), relay }]);
});

test("a card is read whatever version wrote it, and what makes no sense in it is left out", async () => {
  const { one, two, write } = nodes();
  const local = "ipc://@w/1";
  two.own.local = local;
  await two.announce();
  await write("old", JSON.stringify(card("old")));
  await write(
    "new",
    JSON.stringify({
      ...card("new"),
      local: 7,
      links: { up: -1, of: 2 },
      relay: { hosts: ["x"], port: 1 },
      more: "unknown",
    }),
  );
  await write("none", "null");
  await write("broken", "{");
  expect(await one.look(["two", "old", "new", "none", "broken"])).toEqual([
    { ...card("two"), local },
    card("old"),
    card("new"),
  ]);
});

test("a card that the store has lost stays known while its node lives", async () => {
  const { one, two } = nodes();
  await two.announce();
  await one.look(["two"]);
  await one.remove(["two"]);
  for (let n = 0; n <= LOOKS_ANEW; n += 1) expect(await one.look(["two"])).toEqual([card("two")]);
});
