/** What becomes of visitors when a node dies, hangs, or cannot reach another one. */
import { expect, test } from "vitest";
import { readStatus } from "../../status.ts";
import { Cluster, all, expectToReach, report, seconds, until } from "./cluster.ts";
import type { ClusterNode, NodeOptions } from "./cluster-node.ts";
import { Wires } from "./cut.ts";
import { clockAhead } from "./faketime.ts";
import type { Page } from "./page.ts";
import { Store } from "./store.ts";

type OnFinished = (end: () => Promise<void>) => void;

/** Nodes on a Redis of their own. */
async function start(onTestFinished: OnFinished, nodes: readonly NodeOptions[]): Promise<Cluster> {
  const store = await Store.start();
  onTestFinished(() => store.kill());
  const cluster = await Cluster.start(store.url, nodes);
  onTestFinished(() => cluster.stop());
  return cluster;
}

/** Three nodes with pairs and waiting visitors on them; the first one is to hang, with all who are on it. */
async function aboutToHang(onTestFinished: OnFinished) {
  const cluster = await start(onTestFinished, [{}, {}, {}]);
  const pairs = await cluster.pairs(36);
  const before = pairs.map(([{ pair }]) => pair);
  const waiting = await cluster.waiting(24);
  const hung = cluster.pages.filter(({ node }) => node === 0);
  return { cluster, pairs, before, waiting, hung };
}

/** Each of these pages hears a word of its node now. */
async function hearFromNodes(pages: readonly Page[]): Promise<void> {
  const asked = performance.now();
  for (const page of pages) page.see();
  await all(pages, "answered", ({ heardAt }) => heardAt > asked);
}

const since = (start: number, pages: readonly Page[]): number[] =>
  pages.map(({ matches }) => matches.at(-1)!.at - start).toSorted((a, b) => a - b);

test.concurrent("kill -9 of one of three nodes with 300 visitors: no pair ends, all go on elsewhere, who waits is matched", async ({
  onTestFinished,
}) => {
  const cluster = await start(onTestFinished, [{}, {}, {}]);
  const idle = Array.from({ length: 40 }, (_, n) => cluster.page(n % 3));
  const pairs = await cluster.pairs(80);
  const before = pairs.map(([{ pair }]) => pair);
  const waiting = await cluster.waiting(60);
  const restless = await cluster.restless(40);
  await until(() => restless.matches > 200);
  const visitors = [...idle, ...pairs.flat(), ...waiting, ...restless.pages];
  await all(visitors, "connected", ({ isOpen }) => isOpen);
  const bereft = visitors.filter(({ node }) => node === 0);

  const killed = performance.now();
  await cluster.nodes[0]!.end("SIGKILL");
  // Newcomers, one for each who waits; also while the store still takes the dead node's visitors to be there.
  await cluster.partnersOf(waiting, [1, 2]);
  await all(waiting, "matched", ({ pair }) => pair !== undefined, 10_000);
  await all(bereft, "connected again", ({ isOpen }) => isOpen);
  await restless.rest();

  const resumed = bereft.map(({ welcomes }) => welcomes.at(-1)!);
  expect(resumed.filter((welcome) => !welcome.resumed || welcome.node === 0)).toEqual([]);
  expect(pairs.map(([{ pair }]) => pair)).toEqual(before);
  expect(pairs.flat().flatMap(({ endings }) => endings)).toEqual([]);
  await cluster.expectPairsToBeWhole();

  const waited = since(killed, waiting);
  const touched = pairs.filter((pair) => pair.some((page) => bereft.includes(page)));
  report("kill -9 of one of three nodes", {
    visitors: visitors.length,
    "of them on the dead node, all resumed": bereft.length,
    "the last of them resumed after": seconds(Math.max(...resumed.map(({ at }) => at)) - killed),
    "pairs of survivors, and others": `${pairs.length - touched.length}, ${touched.length}`,
    "pairs ended": 0,
    "waited, and matched": waited.length,
    "the last of them matched after": seconds(waited.at(-1)!),
    "matches meanwhile, of those who press Next": restless.matches,
  });
});

test.concurrent("SIGSTOP of a node for 15 s: who moves on is at peace, who has noticed nothing goes on, and nothing stale is done", async ({
  onTestFinished,
}) => {
  const { cluster, pairs, before, waiting, hung } = await aboutToHang(onTestFinished);
  const moving = hung.filter((_, n) => n % 3 === 0);
  const unaware = hung.filter((page) => !moving.includes(page));
  const elsewhere = cluster.pages.filter((page) => !hung.includes(page));
  // A page that had heard nothing for some seconds before would leave in time.
  await hearFromNodes(unaware);

  const stopped = performance.now();
  cluster.nodes[0]!.signal("SIGSTOP");
  // At once, while the others still take the node to be there: some of them are matched with who cannot hear it.
  const partners = await cluster.partnersOf(waiting, [1, 2]);
  for (const page of moving) page.see();
  await all(moving, "connected elsewhere", ({ node, isOpen }) => isOpen && node !== 0);
  const moved = performance.now();
  // Strangers of some who notice nothing leave meanwhile.
  const left = pairs
    .filter(([one, other]) => unaware.includes(one) && elsewhere.includes(other))
    .filter((_, n) => n % 2 === 0);
  expect(left.length).toBeGreaterThan(0);
  for (const [, other] of left) other.stop();
  const reachable = waiting.filter((page) => !unaware.includes(page));
  await all(reachable, "matched", ({ pair }) => pair !== undefined);
  await until(() => performance.now() - stopped > 15_000);

  const woken = performance.now();
  cluster.nodes[0]!.signal("SIGCONT");
  await all([...waiting, ...partners], "matched", ({ pair }) => pair !== undefined, 10_000);
  await all(
    left.map(([one]) => one),
    "told of the end",
    ({ endings }) => endings.length === 1,
  );
  await until(() => cluster.nodes[0]!.isReady());
  const settled = performance.now();

  const kept = pairs.filter((pair) => !left.includes(pair));
  expect(kept.flat().flatMap(({ endings }) => endings)).toEqual([]);
  expect(kept.map(([{ pair }]) => pair)).toEqual(before.filter((_, n) => kept.includes(pairs[n]!)));
  expect(left.map(([one]) => one.endings)).toEqual(left.map(() => ["lost"]));
  // Nobody who has noticed nothing was thrown out.
  expect(
    unaware.filter(({ isOpen, node, welcomes }) => !isOpen || node !== 0 || welcomes.length > 1),
  ).toEqual([]);
  expect(moving.map(({ welcomes }) => welcomes.at(-1)!.resumed)).toEqual(moving.map(() => true));
  await cluster.expectPairsToBeWhole();
  report("SIGSTOP of one of three nodes for 15 s", {
    "on that node": hung.length,
    "of them moved on, the last after": `${moving.length}, ${seconds(moved - stopped)}`,
    "noticed nothing, still there": unaware.length,
    "pairs kept, left meanwhile by the other side": `${kept.length}, ${left.length}`,
    "all is well again after": seconds(settled - woken),
  });
});

test.concurrent("a node hangs for good: pages that nobody looks at leave it while their sessions live, and no pair ends", async ({
  onTestFinished,
}) => {
  const { cluster, pairs, before, waiting, hung } = await aboutToHang(onTestFinished);
  // Just now, so that they take as long as can be.
  await hearFromNodes(hung);

  const stopped = performance.now();
  cluster.nodes[0]!.signal("SIGSTOP");
  await all(hung, "connected elsewhere", ({ node, isOpen }) => isOpen && node !== 0);
  await cluster.partnersOf(waiting, [1, 2]);
  await all(waiting, "matched", ({ pair }) => pair !== undefined, 10_000);

  const resumed = hung.map(({ welcomes }) => welcomes.at(-1)!);
  expect(resumed.filter((welcome) => !welcome.resumed)).toEqual([]);
  expect(pairs.map(([{ pair }]) => pair)).toEqual(before);
  expect(pairs.flat().flatMap(({ endings }) => endings)).toEqual([]);
  await cluster.expectPairsToBeWhole();
  report("a node of three hangs for good", {
    "on that node, all resumed elsewhere": hung.length,
    "the last of them after": seconds(Math.max(...resumed.map(({ at }) => at)) - stopped),
    "pairs kept": pairs.length,
    "waited, and matched": waiting.length,
  });
});

test.concurrent("clocks of two nodes 60 s apart: matched and paired across, waiting in order, resumed on the other", async ({
  onTestFinished,
}) => {
  const cluster = await start(onTestFinished, [{ env: clockAhead(60) }, {}]);
  const [fast, slow] = cluster.nodes.map(({ lines }) => Date.parse(lines.at(-1)!.time)) as [number, number];
  expect(fast - slow).toBeGreaterThan(50_000);
  const pairs = await cluster.pairs(20);
  const waiting = await cluster.waiting(20);
  const restless = await cluster.restless(20);
  await until(() => restless.matches > 100);
  await cluster.partnersOf(waiting, [1, 0]);
  await all(waiting, "matched", ({ pair }) => pair !== undefined);
  const late = await cluster.waiting(20);

  // Neither clock makes a lease longer or shorter, and nobody's place is better or worse for it.
  expect(cluster.nodes.flatMap(({ lines }) => lines.filter(({ level }) => level !== "info"))).toEqual([]);
  const bereft = cluster.pages.filter(({ node }) => node === 0);
  await cluster.nodes[0]!.end("SIGKILL");
  await all(bereft, "connected again", ({ isOpen, node }) => isOpen && node === 1);
  await cluster.partnersOf(late, [1]);
  await all(late, "matched", ({ pair }) => pair !== undefined, 10_000);
  await restless.rest();
  expect(bereft.map(({ welcomes }) => welcomes.at(-1)!.resumed)).toEqual(bereft.map(() => true));
  expect([...pairs.flat(), ...waiting].flatMap(({ endings }) => endings)).toEqual([]);
  await cluster.expectPairsToBeWhole();
  report("clocks of two nodes 60 s apart", {
    "apart by": seconds(fast - slow),
    "pairs kept": pairs.length,
    "waited and matched": waiting.length + late.length,
    "resumed on the other node": bereft.length,
  });
});

// Alone: its nodes wait for each other's ways, which they are given when all have started.
test("a link cut between two nodes that both reach Redis: nobody is matched over it, who is left hears so, and it heals", async ({
  onTestFinished,
}) => {
  const wires = new Wires();
  const store = await Store.start();
  onTestFinished(() => store.kill());
  const hosts = [0, 1, 2].map((node) => Wires.hostOf(node));
  const cluster = await Cluster.start(
    store.url,
    hosts.map((host) => ({ args: [`--link-host=${host}`] })),
    async ({ nodes }) => {
      const pids = nodes.map(({ child }) => child.pid!);
      await until(
        async () => (await readStatus({ redis: store.url }).catch(() => undefined))?.nodes.length === 3,
      );
      for (const { endpoint } of (await readStatus({ redis: store.url })).nodes) {
        const { hostname, port } = new URL(endpoint);
        await wires.leadTo(hosts.indexOf(hostname), Number(port), pids);
      }
    },
  );
  onTestFinished(() => cluster.stop());
  onTestFinished(async () => wires.close());
  const [one, other, third] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  const pairs = await cluster.pairs(36);
  const over = (from: number, to: number) => pairs.filter(([a, b]) => a.node === from && b.node === to);
  const [torn, whole] = [
    [...over(0, 1), ...over(1, 0)],
    [...over(0, 2), ...over(1, 2), ...over(2, 0), ...over(2, 1)],
  ];
  expect([torn.length, whole.length]).toEqual([8, 16]);

  const cut = performance.now();
  wires.cut(one.child.pid!, other.child.pid!);
  // Readiness tells the truth on both sides, and only there.
  await until(async () => (await one.reasons()).length > 0 && (await other.reasons()).length > 0);
  const noticed = performance.now();
  expect(await third.reasons()).toEqual([]);
  // Each says so with its next renewal.
  const linksUp = async () =>
    (await readStatus({ redis: store.url })).nodes.map(({ links }) => `${links?.up}/${links?.of}`).toSorted();
  await until(async () => `${await linksUp()}` === "1/2,1/2,2/2");
  await expectToReach(whole);
  const leaving = torn.slice(0, 4);
  for (const [page] of leaving) page.stop();
  await all(
    leaving.map(([, page]) => page),
    "told of the end",
    ({ endings }) => endings.length === 1,
  );
  const told = performance.now();
  const apart = [cluster.page(0, { interest: "apart" }), cluster.page(1, { interest: "apart" })];
  const near = [cluster.page(0, { interest: "near" }), cluster.page(2, { interest: "near" })];
  await all([...apart, ...near], "connected", ({ isOpen }) => isOpen);
  for (const page of [...apart, ...near]) page.look();
  await all(near, "matched", ({ pair }) => pair !== undefined);
  await all(apart, "waiting", ({ isWaiting }) => isWaiting);

  const healed = performance.now();
  wires.heal();
  await all(apart, "matched", ({ pair }) => pair !== undefined);
  await cluster.ready();
  const ready = performance.now();
  await until(async () => `${await linksUp()}` === "2/2,2/2,2/2");
  const stayed = pairs.filter((pair) => !leaving.includes(pair));
  expect(stayed.flat().flatMap(({ endings }) => endings)).toEqual([]);
  expect(apart.map(({ matches }) => matches.length)).toEqual([1, 1]);
  await cluster.expectPairsToBeWhole();
  report("a link cut between two of three nodes", {
    "pairs over it, and elsewhere": `${torn.length}, ${pairs.length - torn.length}`,
    "both nodes say so after": seconds(noticed - cut),
    "who was left over it hears so after": seconds(told - noticed),
    "ready again after": seconds(ready - healed),
    "pairs ended but by Next": 0,
  });
});
