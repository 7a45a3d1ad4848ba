/** A cluster of real nodes, `dist/chatrandom join`, and the pages of its visitors. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { connectRedis } from "../../redis/client.ts";
import type { Redis } from "ioredis";
import { ClusterNode } from "./cluster-node.ts";
import type { NodeOptions } from "./cluster-node.ts";
import { Page, newWord } from "./page.ts";
import type { PageOptions } from "./page.ts";
import { pairsIn } from "./store.ts";

/** How long what has to come is waited for, in ms. */
export const PATIENCE = 30_000;

export const until = (condition: () => boolean | Promise<boolean>, timeout = PATIENCE): Promise<boolean> =>
  vi.waitUntil(condition, { timeout, interval: 10 });

/** Waits until this holds for every page; else says of which it does not, and what they are doing. */
export async function all(
  pages: readonly Page[],
  what: string,
  holds: (page: Page) => boolean,
  timeout = PATIENCE,
): Promise<void> {
  await until(() => pages.every(holds), timeout).catch(() => {
    const others = pages.filter((page) => !holds(page)).map((page) => page.description);
    throw new Error(`not ${what} within ${seconds(timeout)}:\n${others.join("\n")}`);
  });
}

export class Cluster {
  readonly nodes: ClusterNode[] = [];
  readonly pages: Page[] = [];
  readonly redis: string;
  readonly #secret = randomBytes(32).toString("hex");
  readonly #folder = mkdtempSync(join(tmpdir(), "chatrandom-faults-"));
  /** Every process that there ever was. */
  readonly #started: ClusterNode[] = [];

  private constructor(redis: string) {
    this.redis = redis;
  }

  /** Resolves once every node can serve; `started` is called before that. */
  static async start(
    redis: string,
    nodes: readonly NodeOptions[],
    started?: (cluster: Cluster) => Promise<void>,
  ): Promise<Cluster> {
    const cluster = new Cluster(redis);
    try {
      for (const options of nodes) cluster.nodes.push(cluster.#spawn(options));
      await started?.(cluster);
      await cluster.ready();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  #spawn(options: NodeOptions): ClusterNode {
    const folder = join(this.#folder, String(this.#started.length));
    const node = new ClusterNode(this.redis, this.#secret, folder, options);
    this.#started.push(node);
    return node;
  }

  async ready(): Promise<void> {
    for (const node of this.nodes) await Cluster.#readiness(node);
  }

  /** Resolves once the node can serve; else says why it does not, and what it has logged. */
  static async #readiness(node: ClusterNode): Promise<void> {
    await until(() => node.isReady()).catch(async (error: Error) => {
      const reasons = await node.reasons().catch(String);
      const said = node.lines.map((line) => JSON.stringify(line)).join("\n");
      throw new Error(`${error.message} Not ready: ${String(reasons)}\n${said}`, { cause: error });
    });
  }

  /** Another process in the place of that node. Resolves once it can serve. */
  async replace(index: number, options: NodeOptions = {}): Promise<void> {
    const node = this.#spawn(options);
    await Cluster.#readiness(node);
    this.nodes[index] = node;
  }

  /** A visitor who comes to that node at first, and to the next ones when it has to. */
  page(node: number, options: Omit<PageOptions, "routes" | "first"> = {}): Page {
    const routes = () => this.nodes.map(({ url }) => `${url.replace("http", "ws")}/ws`);
    const page = new Page({ routes, first: node, ...options });
    this.pages.push(page);
    return page;
  }

  /** So many pairs, spread over the nodes: every third of them with both sides on one node. */
  async pairs(count: number): Promise<[Page, Page][]> {
    const pairs: [Page, Page][] = [];
    for (let n = 0; n < count; n += 1) {
      const interest = `pair ${newWord()}`;
      const home = n % this.nodes.length;
      const away = (home + Math.floor(n / this.nodes.length)) % this.nodes.length;
      pairs.push([this.page(home, { interest }), this.page(away, { interest })]);
    }
    const pages = pairs.flat();
    await all(pages, "connected", ({ isOpen }) => isOpen);
    for (const page of pages) page.look();
    await all(pages, "matched", ({ pair }) => pair !== undefined);
    return pairs;
  }

  /** So many visitors, spread over the nodes, who wait, each for somebody else. */
  async waiting(count: number): Promise<Page[]> {
    const pages = Array.from({ length: count }, (_, n) =>
      this.page(n % this.nodes.length, { interest: `wish ${newWord()}` }),
    );
    await all(pages, "connected", ({ isOpen }) => isOpen);
    for (const page of pages) page.look();
    await all(pages, "waiting", ({ isWaiting }) => isWaiting);
    return pages;
  }

  /** For each of those who wait somebody who looks for the same now, at one of these nodes. */
  async partnersOf(waiting: readonly Page[], nodes: readonly number[]): Promise<Page[]> {
    const pages = waiting.map(({ interest }, n) => this.page(nodes[n % nodes.length]!, { interest }));
    await all(pages, "connected", ({ isOpen }) => isOpen);
    for (const page of pages) page.look();
    return pages;
  }

  /** So many visitors, spread over the nodes, who press Next again and again until told to rest. */
  async restless(count: number): Promise<Restless> {
    const pages = Array.from({ length: count }, (_, n) => this.page(n % this.nodes.length, { mode: "text" }));
    await all(pages, "connected", ({ isOpen }) => isOpen);
    return new Restless(pages);
  }

  /**
   * M1 in hindsight and now: no pair was ever told to more than two; those that there are now are the store's too,
   * have two sides, and words go both ways at once.
   */
  async expectPairsToBeWhole(pages: readonly Page[] = this.pages): Promise<void> {
    const told = new Map<string, Set<Page>>();
    for (const page of this.pages) {
      expect(page.strays).toBe(0);
      expect(page.closed).toBe(undefined);
      for (const { pair } of page.matches) told.set(pair, (told.get(pair) ?? new Set()).add(page));
    }
    expect([...told.values()].filter(({ size }) => size > 2)).toEqual([]);

    const paired = pages.filter(({ pair }) => pair !== undefined);
    const sides = Map.groupBy(paired, ({ pair }) => pair);
    expect([...sides.values()].filter(({ length }) => length !== 2)).toEqual([]);
    const known = await this.#pairsInStore();
    for (const [pair, [one, other]] of sides as Map<string, [Page, Page]>) {
      expect(known.get(one.session)).toEqual({ pair, partner: other.session });
      expect(known.get(other.session)).toEqual({ pair, partner: one.session });
    }
    await expectToReach([...sides.values()] as [Page, Page][]);
  }

  async #pairsInStore(): ReturnType<typeof pairsIn> {
    const redis = connectRedis(this.redis);
    try {
      await redis.check(PATIENCE);
      return await pairsIn(redis.client as Redis);
    } finally {
      await redis.close();
    }
  }

  async stop(): Promise<void> {
    for (const page of this.pages) page.close();
    await Promise.all(this.#started.map((node) => node.end("SIGKILL")));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A word each way, once. */
export async function expectToReach(pairs: readonly (readonly [Page, Page])[]): Promise<void> {
  const said = pairs.flatMap(([one, other]) =>
    (
      [
        [one, other],
        [other, one],
      ] as const
    ).map(([from, to]) => {
      const word = newWord();
      expect(from.signal(word)).toBe(true);
      return { from, to, word };
    }),
  );
  await until(() => said.every(({ to, word }) => to.hasHeard(word))).catch(() => {
    const unheard = said.filter(({ to, word }) => !to.hasHeard(word));
    const ways = unheard.map(({ from, to }) => `${from.description}\n  to ${to.description}`);
    throw new Error(`${ways.length} words did not arrive:\n${ways.join("\n")}`);
  });
}

/** Visitors who press Next a moment after each match. */
export class Restless {
  readonly pages: readonly Page[];
  #rests = false;

  constructor(pages: readonly Page[]) {
    this.pages = pages;
    for (const page of pages) {
      page.onMatched = () => setTimeout(() => this.#rests || page.look(), 100 + Math.random() * 300).unref();
      page.look();
    }
  }

  get matches(): number {
    return this.pages.reduce((sum, { matches }) => sum + matches.length, 0);
  }

  /** They press no more. Resolves when each has a partner who knows it, or waits for one. */
  async rest(): Promise<void> {
    this.#rests = true;
    const settled = ({ pair, isWaiting, isOpen }: Page): boolean =>
      isOpen && (isWaiting || this.pages.filter((page) => page.pair === pair).length === 2);
    await all(this.pages, "at rest", settled);
  }
}

/** What a scenario came to, for people. */
export function report(scenario: string, numbers: Record<string, number | string>): void {
  const lines = Object.entries(numbers).map(([what, value]) => `  ${what}: ${value}`);
  console.log([`${scenario}`, ...lines].join("\n"));
}

/** Milliseconds as seconds, for `report`. */
export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
