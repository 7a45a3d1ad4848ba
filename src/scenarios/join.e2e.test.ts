/** Nodes that join a cluster, as their operator starts them, and what `chatrandom status` tells of them. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { startTestRedis } from "../redis/test-server.ts";
import type { Status } from "../status.ts";
import { all, Cluster, until } from "./faults/cluster.ts";
import type { Page } from "./faults/page.ts";

const EXECUTABLE = fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));
const run = promisify(execFile);

async function redisOf(...args: string[]) {
  const redis = await startTestRedis(args);
  onTestFinished(() => redis.stop());
  return redis;
}

async function clusterOn(redis: string, nodes: number, ...args: string[]): Promise<Cluster> {
  const cluster = await Cluster.start(
    redis,
    Array.from({ length: nodes }, () => ({ args })),
  );
  onTestFinished(() => cluster.stop());
  return cluster;
}

async function status(redis: string): Promise<Status> {
  const { stdout } = await run(EXECUTABLE, ["status", `--redis=${redis}`, "--json"], { env: {} });
  return JSON.parse(stdout) as Status;
}

test("a node with another link secret is refused: it says so, ends with 2, and is no node", async () => {
  const { url } = await redisOf();
  const cluster = await clusterOn(url, 1);
  const args = ["join", `--redis=${url}`, "--port=0", "--turn-enabled=false", "--link-port=0"];
  const refused = run(EXECUTABLE, args, {
    cwd: tmpdir(),
    env: { HOME: tmpdir(), CHATRANDOM_LINK_SECRET: randomBytes(32).toString("hex"), CHATRANDOM_TLS: "off" },
  });
  await expect(refused).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/(^|\n)chatrandom: [^\n]* have another link secret: [^\n]*\n$/),
  });
  expect((await status(url)).total.nodes).toBe(1);
  expect(await cluster.nodes[0]!.isReady()).toBe(true);
  await cluster.pairs(1);
});

test("nodes that reach Redis by IPv6 find each other by it", async () => {
  const { port } = await redisOf("--bind", "127.0.0.1", "::1");
  const url = `redis://[::1]:${port}`;
  const cluster = await clusterOn(url, 2, "--link-bind=::");
  for (const { endpoint } of (await status(url)).nodes) expect(endpoint).toMatch(/^tcp:\/\/\[::1\]:\d+$/);
  await cluster.pairs(4);
  await cluster.expectPairsToBeWhole();
});

test("status tells the nodes, their visitors and the pool; a node that dies is out with its lease, and its tickets", async () => {
  const { url } = await redisOf();
  const cluster = await clusterOn(url, 2);
  const waiting = await cluster.waiting(6);
  await until(async () => (await status(url)).total.waiting === 6);
  const before = await status(url);
  expect(before.nodes.map(({ online, waiting }) => [online, waiting])).toEqual([
    [3, 3],
    [3, 3],
  ]);
  expect(before.pool).toMatchObject({ video: 6, text: 0 });
  expect(before.pool.interests).toHaveLength(6);
  for (const { version, endpoint, machine } of before.nodes)
    expect([version, endpoint, machine].every((text) => text !== "")).toBe(true);
  await until(async () => (await status(url)).nodes.every(({ links }) => links?.up === 1 && links.of === 1));

  const [stay, go] = [1, 0].map((at) => waiting.filter(({ node }) => node === at)) as [Page[], Page[]];
  // Who is gone waits no more, not for the time of the grace either.
  go.pop()!.close();
  await until(async () => {
    const { total, pool } = await status(url);
    return total.online === 5 && total.waiting === 5 && pool.video === 5;
  });
  cluster.nodes[0]!.signal("SIGKILL");
  // They do not come back elsewhere, and the dead node hears nothing of it.
  for (const page of go) page.close();
  for (const { lease } of (await status(url)).nodes) expect(lease).toBeLessThanOrEqual(5_000);
  await until(async () => (await status(url)).total.nodes === 1);
  await until(async () => (await status(url)).pool.video === 3);
  expect((await status(url)).total).toEqual({ nodes: 1, online: 3, waiting: 3 });
  await all(stay, "waiting", ({ isWaiting }) => isWaiting);
});
