import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startEmbeddedRedis, valkey } from "../embedded/redis.ts";
import { redisRegistry } from "../links/redis-registry.ts";
import { RedisMatcher } from "../matching/redis-matcher.ts";
import { DEFAULT_RULES } from "../matching/rules.ts";
import { visitor } from "../matching/test-pool.ts";
import { connectRedis } from "../redis/client.ts";
import type { RedisConnection } from "../redis/client.ts";
import { PREFIX } from "../redis/keys.ts";
import { redisBinary, startTestRedis } from "../redis/test-server.ts";
import type { TestRedis } from "../redis/test-server.ts";
import { runCommandLine } from "./command-line.ts";
import { until } from "../test-until.ts";

let server: TestRedis;
let redis: RedisConnection;
let home: string;
const ending: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  server = await startTestRedis();
  home = mkdtempSync(join(tmpdir(), "chatrandom-status-"));
  redis = connectRedis(server.url);
  await redis.check(5_000);
});
beforeEach(() => redis.client.flushall());
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});
afterAll(async () => {
  await redis.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

async function chatrandom(args: string[], env: Record<string, string> = {}) {
  const ended = { code: 0, stdout: "", stderr: "" };
  ended.code = await runCommandLine(["status", ...args], {
    env: { HOME: home, ...env },
    out: (text) => void (ended.stdout += text),
    err: (text) => void (ended.stderr += text),
    completing: false,
  });
  return ended;
}

/** Two nodes that live, one of which has said how it is found, and one that is dead; three visitors wait. */
async function fill(connection = redis): Promise<void> {
  const at = (lease: number) =>
    new RedisMatcher({ redis: connection, prefix: PREFIX, rules: { ...DEFAULT_RULES, lease } });
  const matcher = at(60_000);
  await redisRegistry(connection, PREFIX, {
    node: "node-a",
    endpoint: "tcp://10.0.0.1:7400",
    publicKey: "key",
    version: "1.2.3",
    machine: "berlin",
    startedAt: 1,
    links: { up: 1, of: 2 },
  }).announce();
  await visitor(matcher, "of the dead", { node: "node-c" }).open();
  await at(0).renew("node-c", { online: 99, waiting: 9 });
  await matcher.renew("node-a", { online: 7, waiting: 2 });
  await matcher.renew("node-b", { online: 5, waiting: 1 });
  const waits = (name: string, node: string) => visitor(matcher, name, { node, device: "the same" });
  await waits("anna", "node-a").find({ interests: ["go", "art"], strict: true });
  await waits("ben", "node-a").find({ interests: ["go"], strict: true });
  await waits("carl", "node-b").find({ mode: "text", interests: ["\u009b31m\u202e"], strict: true });
}

describe("of a cluster", () => {
  test("as a table", async () => {
    await fill();
    const { code, stdout, stderr } = await chatrandom(["--redis", server.url]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.replace(/5\d\.\d s|60\.0 s/g, "59.9 s")).toBe(`\
NODE    MACHINE  VERSION  LINK                 LINKS  ONLINE  WAITING    LEASE
node-c  -        -        -                        -       0        0  ran out
node-a  berlin   1.2.3    tcp://10.0.0.1:7400    1/2       7        2   59.9 s
node-b  -        -        -                        -       5        1   59.9 s

MODE   WAITING
video        2
text         1

INTEREST         WAITING
go                     2
\\u009b31m\\u202e        1
art                    1

Where the lease ran out the node is dead or hangs: it is listed until its visitors are back elsewhere, or their grace is over.

2 nodes, 12 online, 3 waiting
`);
  });

  test("as JSON, and by the variable", async () => {
    await fill();
    const { code, stdout } = await chatrandom(["--json"], { CHATRANDOM_REDIS: server.url });
    expect(code).toBe(0);
    // oxlint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(stdout)).toEqual({
      nodes: [
        expect.objectContaining({ id: "node-c", online: 0, waiting: 0, lease: expect.any(Number) }),
        {
          id: "node-a",
          machine: "berlin",
          version: "1.2.3",
          endpoint: "tcp://10.0.0.1:7400",
          links: { up: 1, of: 2 },
          online: 7,
          waiting: 2,
          lease: expect.any(Number),
        },
        expect.objectContaining({ id: "node-b", machine: "", version: "", endpoint: "", links: null }),
      ],
      pool: {
        video: 2,
        text: 1,
        interests: [
          { interest: "go", waiting: 2 },
          { interest: "\u009b31m\u202e", waiting: 1 },
          { interest: "art", waiting: 1 },
        ],
      },
      total: { nodes: 2, online: 12, waiting: 3 },
    });
  });

  test("that nobody has joined", async () => {
    const { code, stdout } = await chatrandom(["--redis", server.url]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\n0 nodes, 0 online, 0 waiting\n$/)]);
  });

  test("from a replica, which is said", async () => {
    await fill();
    await redis.client.config("SET", "repl-diskless-sync-delay", "0");
    // It writes down what it is sent.
    const replica = await startTestRedis(["--dir", home, "--replicaof", `127.0.0.1 ${server.port}`]);
    ending.push(() => replica.stop());
    const connection = connectRedis(replica.url, {}, true);
    ending.push(() => connection.close());
    await connection.check(5_000);
    const isLinked = async () =>
      (await connection.client.info("replication")).includes("master_link_status:up");
    await until(isLinked, 20);
    const { code, stdout, stderr } = await chatrandom(["--redis", replica.url]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\n2 nodes, 12 online, 3 waiting\n$/)]);
    expect(stderr).toBe("chatrandom: this Redis is a replica which may lag behind its master\n");
    await connection.client.call("REPLICAOF", "127.0.0.1", "1");
    expect((await chatrandom(["--redis", replica.url])).stderr).toMatch(
      /^chatrandom: this Redis is a replica which has lost its master: this is as it was \d+ s ago or before\n$/,
    );
  });

  test("whose Redis cannot be reached: exit 1 and one line without the password", async () => {
    const { code, stdout, stderr } = await chatrandom([
      "--redis",
      `redis://anna:hush@127.0.0.1:${server.port}`,
    ]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(
      /^chatrandom: redis:\/\/\*\*\*@127\.0\.0\.1:\d+: Redis cannot be used: it refuses user or password\n$/,
    );
    expect(stderr).not.toContain("hush");
  });
});

describe("of chatrandom serve", () => {
  test("by its data directory", async () => {
    const dataDir = join(home, "data of one");
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const program = { ...valkey, content: () => readFileSync(redisBinary()) };
    const embedded = await startEmbeddedRedis({ dataDir, maxMemory: 16 * 1024 ** 2, program, log });
    ending.push(() => embedded.stop());
    const connection = connectRedis(embedded.path);
    ending.push(() => connection.close());
    await connection.check(5_000);
    await fill(connection);
    // A flag says more than a variable.
    const { code, stdout } = await chatrandom(["--data-dir", dataDir], { CHATRANDOM_REDIS: server.url });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\n2 nodes, 12 online, 3 waiting\n$/)]);
  });

  test("when none runs: exit 1 and one line", async () => {
    for (const dataDir of [home, join(home, "missing")]) {
      const { code, stderr } = await chatrandom(["--data-dir", dataDir]);
      expect([code, stderr]).toEqual([
        1,
        `chatrandom: no chatrandom serve runs on the data directory ${dataDir}, or it belongs to another user. ` +
          "Choose another with --data-dir, or a cluster with --redis\n",
      ]);
    }
  });
});

test.each([
  [["--redis", "redis://h", "--data-dir", "/d"], "give one of them"],
  [["--port", "1"], "unknown option --port"],
  [["--jsn"], "unknown option --jsn. Did you mean --json?"],
  [["now"], 'unexpected "now" behind status'],
])("wrong use: chatrandom status %j", async (args, problem) => {
  const { code, stderr } = await chatrandom(args);
  expect([code, stderr]).toEqual([2, expect.stringContaining(problem)]);
});
