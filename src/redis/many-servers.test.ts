import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { redisRegistry } from "../links/redis-registry.ts";
import { RedisMatcher } from "../matching/redis-matcher.ts";
import { DEFAULT_RULES } from "../matching/rules.ts";
import { matched, visitor, waiting } from "../matching/test-pool.ts";
import { redisReports } from "../moderation/reports.ts";
import { connectRedis } from "./client.ts";
import type { RedisConnection } from "./client.ts";
import { poolKeys, PREFIX, registryKey, reportsKey } from "./keys.ts";
import { startTestCluster, startTestSentinel } from "./test-servers.ts";
import type { TestServers } from "./test-servers.ts";
import { eventually } from "../test-until.ts";

const open: { connections: RedisConnection[]; servers: TestServers[] } = { connections: [], servers: [] };
afterEach(async () => {
  for (const connection of open.connections.splice(0)) await connection.close();
  for (const servers of open.servers.splice(0)) await servers.stop();
});

async function connect(starting: Promise<TestServers>) {
  const servers = await starting;
  open.servers.push(servers);
  const connection = connectRedis(servers.url);
  open.connections.push(connection);
  await connection.check(10_000);
  return { servers, connection };
}

const another = (target: string): RedisConnection => {
  const connection = connectRedis(target);
  open.connections.push(connection);
  return connection;
};

/** Asks until it is answered, as a node does for a visitor who waits. */
const ask = <T>(question: () => Promise<T>): Promise<T> => eventually(question, 20);

async function matchSomebody(connection: RedisConnection): Promise<void> {
  const matcher = new RedisMatcher({ redis: connection, prefix: PREFIX, rules: DEFAULT_RULES });
  await ask(() => matcher.renew("a", { online: 2, waiting: 0 }));
  const [first, second] = [visitor(matcher, randomUUID()), visitor(matcher, randomUUID())];
  waiting(await ask(() => first.find()));
  matched(await ask(() => second.find()));
  await ask(() => first.end());
  await ask(() => second.end());
}

describe("behind a Sentinel", () => {
  test("scripts run again soon after the master was killed", async () => {
    const { servers, connection } = await connect(startTestSentinel("word"));
    expect(connection.localAddress()).toBe("127.0.0.1");
    await matchSomebody(connection);
    const before = await servers.masterOf("");
    await before.kill();
    await eventually(() => expect(connection.ready).toBe(false), 20);
    await matchSomebody(connection);
    expect((await servers.masterOf("")).port).not.toBe(before.port);

    await expect(another(servers.url.replace("mymaster", "other")).check(10_000)).rejects.toThrow(
      'its Sentinels know no master named "other"',
    );
    await expect(another(servers.url.replace(":word", ":wrong")).check(10_000)).rejects.toThrow(
      "it refuses user or password",
    );
    const one = servers.url.replace(/^.*,(.*)\/.*$/, "redis://$1");
    await expect(another(one).check(10_000)).rejects.toThrow("this is a Sentinel and no Redis");
  });
});

describe("in a Cluster", () => {
  test("scripts run, and again soon after the master with the pool was killed", async () => {
    const pool = poolKeys(PREFIX);
    const { servers, connection } = await connect(startTestCluster(pool));
    expect(connection.localAddress()).toBe("127.0.0.1");
    expect(new Set(connection.remoteAddresses())).toEqual(new Set(["127.0.0.1"]));
    await matchSomebody(connection);

    const registry = redisRegistry(connection, PREFIX, {
      node: "a",
      endpoint: "tcp://127.0.0.1:1",
      publicKey: "key",
      version: "1",
      machine: "here",
      startedAt: 1,
    });
    await ask(() => registry.announce());
    const looked = await ask(() => redisRegistry(connection, PREFIX).look(["a", "b"]));
    expect(looked).toMatchObject([{ machine: "here" }]);
    const report = { pair: "p", reason: "spam" as const, reporterDevice: "a", reportedDevice: "b", at: 1 };
    await ask(() => redisReports(connection, PREFIX).add(report));
    expect(await ask(() => connection.client.xlen(reportsKey(PREFIX)))).toBe(1);
    await ask(() => registry.remove(["a"]));
    expect(await ask(() => connection.client.exists(registryKey(PREFIX)))).toBe(0);

    const before = await servers.masterOf(pool);
    await expect(another(`redis://127.0.0.1:${before.port}`).check(10_000)).rejects.toThrow(
      "this Redis is a server of a Cluster",
    );
    await before.kill();
    await matchSomebody(connection);
    // The server that is asked may hear of it a moment later.
    await eventually(async () => expect((await servers.masterOf(pool)).port).not.toBe(before.port), 20);
  });
});
