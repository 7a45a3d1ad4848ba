/** What becomes of visitors when Redis dies, hangs or moves. The pairs never need it; everybody else is patient. */
import { expect, test } from "vitest";
import { PREFIX, poolKeys } from "../../redis/keys.ts";
import { startTestCluster, startTestSentinel } from "../../redis/test-servers.ts";
import { Cluster, all, expectToReach, report, seconds, until } from "./cluster.ts";
import type { Restless } from "./cluster.ts";
import type { Page } from "./page.ts";
import { Store } from "./store.ts";

type OnFinished = (end: () => Promise<void>) => void;

/** Three nodes with visitors of every kind, and what has to hold after Redis has come back to them. */
class Busy {
  readonly cluster: Cluster;
  readonly pairs: [Page, Page][];
  readonly waiting: Page[];
  readonly restless: Restless;
  readonly #before: (string | undefined)[];
  #away = 0;

  private constructor(cluster: Cluster, pairs: [Page, Page][], waiting: Page[], restless: Restless) {
    this.cluster = cluster;
    this.pairs = pairs;
    this.waiting = waiting;
    this.restless = restless;
    this.#before = pairs.map(([{ pair }]) => pair);
  }

  static async start(redis: string, onTestFinished: OnFinished): Promise<Busy> {
    const cluster = await Cluster.start(redis, [{}, {}, {}]);
    onTestFinished(() => cluster.stop());
    const pairs = await cluster.pairs(30);
    const waiting = await cluster.waiting(20);
    const restless = await cluster.restless(20);
    await until(() => restless.matches > 100);
    return new Busy(cluster, pairs, waiting, restless);
  }

  /** Resolves when every node has noticed that Redis is away; signals go on all the same. */
  async away(): Promise<void> {
    this.#away = performance.now();
    // All at once: after a failover none of them says so for long.
    const { nodes } = this.cluster;
    await Promise.all(nodes.map((node) => until(async () => (await node.reasons()).includes("redis"))));
    await expectToReach(this.pairs);
  }

  /** Redis can be reached. Nobody who waits does anything; who comes now finds them. */
  async back(scenario: string): Promise<void> {
    const back = performance.now();
    await this.cluster.ready();
    const ready = performance.now();
    await this.cluster.partnersOf(this.waiting, [0, 1, 2]);
    await all(this.waiting, "matched", ({ pair }) => pair !== undefined, 10_000);
    const matched = performance.now();
    const { matches } = this.restless;
    await until(() => this.restless.matches > matches + 20);
    await this.restless.rest();
    expect(this.pairs.map(([{ pair }]) => pair)).toEqual(this.#before);
    expect(this.pairs.flat().flatMap(({ endings }) => endings)).toEqual([]);
    // Nobody was disconnected for it.
    expect(this.cluster.pages.filter(({ welcomes }) => welcomes.length !== 1)).toEqual([]);
    await this.cluster.expectPairsToBeWhole();
    report(scenario, {
      "away for": seconds(back - this.#away),
      "every node ready again after": seconds(ready - back),
      "pairs kept": this.pairs.length,
      "waited all the time, and matched within": `${this.waiting.length}, ${seconds(matched - ready)}`,
      "matches of those who press Next": this.restless.matches,
    });
  }
}

test.concurrent("Redis killed and started again, empty", async ({ onTestFinished }) => {
  const store = await Store.start();
  onTestFinished(() => store.kill());
  const busy = await Busy.start(store.url, onTestFinished);
  await store.kill();
  await busy.away();
  await store.start();
  await busy.back("Redis killed and started again, empty");
  for (const { lines } of busy.cluster.nodes) {
    const told = lines.map(({ msg }) => msg).filter((msg) => msg.startsWith("Redis is "));
    expect(told).toEqual(["Redis is away; calls go on, searches wait for it", "Redis is back"]);
  }
});

test.concurrent("Redis hangs for 5 s", async ({ onTestFinished }) => {
  const store = await Store.start();
  onTestFinished(() => store.kill());
  const busy = await Busy.start(store.url, onTestFinished);
  const stopped = performance.now();
  store.signal("SIGSTOP");
  await busy.away();
  await until(() => performance.now() - stopped > 5_000);
  store.signal("SIGCONT");
  await busy.back("Redis hangs for 5 s");
});

test.concurrent("a Sentinel failover", async ({ onTestFinished }) => {
  const servers = await startTestSentinel();
  onTestFinished(() => servers.stop());
  const busy = await Busy.start(servers.url, onTestFinished);
  const master = await servers.masterOf("");
  await master.kill();
  await busy.away();
  await until(async () => (await servers.masterOf("")) !== master);
  await busy.back("a Sentinel failover");
});

test.concurrent("the Cluster's master of the pool killed", async ({ onTestFinished }) => {
  const key = poolKeys(PREFIX);
  const servers = await startTestCluster(key);
  onTestFinished(() => servers.stop());
  const busy = await Busy.start(servers.url, onTestFinished);
  const master = await servers.masterOf(key);
  await master.kill();
  await busy.away();
  await until(async () => (await servers.masterOf(key)) !== master);
  await busy.back("the Cluster's master of the pool killed");
});
