import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestRedis } from "../redis/test-server.ts";
import type { TestRedis } from "../redis/test-server.ts";
import { Place } from "./place.ts";
import type { PlaceOptions } from "./place.ts";

let directory: string;
let redis: TestRedis;
let place: Place;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "chatrandom-"));
  await startStore();
});
afterEach(async () => {
  await place.close();
  await redis.stop();
  await rm(directory, { recursive: true });
});

const path = () => join(directory, "store.sock");

/** An empty one, each time at the same path. */
async function startStore(): Promise<void> {
  redis = await startTestRedis(["--unixsocket", path()]);
}

async function open(options: Partial<PlaceOptions> = {}): Promise<Place> {
  place = await Place.open({ redis: path(), ...options });
  return place;
}

/** Ends Redis, and waits until every node has found out. */
async function killStore(): Promise<void> {
  await redis.stop();
  await place.until(() => place.nodes.every((node) => !node.redis.ready));
  await place.pass(1_000);
}

/** Starts an empty Redis, and waits until every node is connected again. */
async function bringStoreBack(): Promise<void> {
  await startStore();
  await place.until(() => place.nodes.every((node) => node.redis.ready));
}

const readiness = async () => {
  const answers = await Promise.all(place.nodes.map(({ origin }) => fetch(`${origin}/readyz`)));
  return Promise.all(answers.map(async (answer) => [answer.status, await answer.json()]));
};

describe.each([1, 3])("on %i nodes", (nodes) => {
  const all = <T>(value: T): T[] => Array.from({ length: nodes }, () => value);

  test("readyz tells whether Redis is there, healthz whether the process is", async () => {
    await open({ nodes });
    expect(await readiness()).toEqual(all([200, { ready: true, reasons: [] }]));
    await killStore();
    expect(await readiness()).toEqual(all([503, { ready: false, reasons: ["redis"] }]));
    expect((await fetch(`${place.first.origin}/healthz`)).status).toBe(200);
    await bringStoreBack();
    await place.pass(1_000);
    expect(await readiness()).toEqual(all([200, { ready: true, reasons: [] }]));
  });

  test("readyz tells a Redis that is away for a moment at once, between two renewals of the lease", async () => {
    await open({ nodes });
    await redis.stop();
    await place.until(() => place.nodes.every((node) => !node.redis.ready));
    expect(await readiness()).toEqual(all([503, { ready: false, reasons: ["redis"] }]));
    await bringStoreBack();
    expect(await readiness()).toEqual(all([200, { ready: true, reasons: [] }]));
  });

  test("pairs and signals go on while Redis is away, and after it came back empty", async () => {
    await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const signals = async (n: number) => {
      for (const [from, to] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        from.send({ type: "signal", pair, data: { n } });
        expect(await to.next("signal")).toEqual({ type: "signal", pair, data: { n } });
      }
    };
    await killStore();
    await signals(1);
    await place.pass(30_000);
    await signals(2);
    await bringStoreBack();
    await place.pass(10_000);
    await signals(3);
    bob.find();
    expect(await alice.next("ended")).toEqual({ type: "ended", pair, reason: "next" });
    await bob.next("waiting");
  });

  test("a find while Redis is away hears unavailable once, and is answered when it is back", async () => {
    await open({ nodes });
    const [alice, bob] = [await place.visitor(), await place.visitor()];
    await killStore();
    alice.find();
    expect(await alice.next("error")).toMatchObject({ code: "unavailable" });
    bob.find();
    expect(await bob.next("error")).toMatchObject({ code: "unavailable" });
    await place.pass(10_000);
    await alice.nothing();
    await bringStoreBack();
    await place.pass(3_000);
    const { pair } = await alice.eventually("matched");
    expect(await bob.eventually("matched")).toMatchObject({ pair });
  });

  test("who comes while Redis is away is welcomed, hears unavailable, and is matched when it is back", async () => {
    await open({ nodes });
    await killStore();
    const [alice, bob] = [await place.visitor(), await place.visitor()];
    for (const visitor of [alice, bob]) {
      expect(visitor.welcome).toMatchObject({ resumed: false, state: "idle" });
      visitor.find();
      expect(await visitor.next("error")).toMatchObject({ code: "unavailable" });
    }
    await bringStoreBack();
    await place.pass(3_000);
    const { pair } = await alice.eventually("matched");
    expect(await bob.eventually("matched")).toMatchObject({ pair });
  });

  test("S3: a session resumes on its node while Redis is away", async () => {
    await open({ nodes });
    const alice = await place.visitor({ node: 0 });
    await killStore();
    await place.drop(alice);
    const again = await place.visitor({ resume: alice.welcome.resume, node: 0 });
    expect(again.welcome).toMatchObject({ resumed: true, state: "idle" });
  });

  test("S3, S5: a token that the node does not know waits for Redis, and the client hears so", async () => {
    await open({ nodes });
    await killStore();
    const alice = await place.connect();
    alice.send({ type: "hello", resume: "x".repeat(43) });
    expect(await alice.next("error")).toMatchObject({ code: "unavailable" });
    await place.pass(5_000);
    alice.find();
    await bringStoreBack();
    await place.pass(1_000);
    expect(await alice.next("welcome")).toMatchObject({ resumed: false });
    await place.pass(1_000);
    await alice.next("waiting");
  });

  test("leave and Next while Redis is away tell the other side at once", async () => {
    await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const [carol, dave, theirs] = await place.pair();
    await killStore();
    alice.send({ type: "leave" });
    expect(await bob.next("ended")).toEqual({ type: "ended", pair, reason: "left" });
    carol.find();
    expect(await dave.next("ended")).toEqual({ type: "ended", pair: theirs, reason: "next" });
    expect(await carol.next("error")).toMatchObject({ code: "unavailable" });
    await bringStoreBack();
    await place.pass(3_000);
    await carol.next("waiting");
    await bob.nothing();
    await dave.nothing();
  });

  test("a report while Redis is away is stored when it is back", async () => {
    await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    await redis.stop();
    await place.until(() => place.nodes.every((node) => !node.redis.ready));
    alice.send({ type: "report", pair, reason: "spam" });
    expect(await bob.next("ended")).toEqual({ type: "ended", pair, reason: "blocked" });
    await bringStoreBack();
    await place.pass(3_000);
    const heard = await alice.heard();
    // An empty Redis knows of no pair any more: then the visitor hears that the report was not taken.
    expect(heard).toMatchObject([{ type: expect.stringMatching(/^(reported|error)$/) }]);
  });

  test("who waits is matched after Redis came back empty, without doing anything", async () => {
    await open({ nodes });
    const alice = await place.visitor();
    alice.find();
    const { since } = await alice.next("waiting");
    await killStore();
    await bringStoreBack();
    await place.pass(3_000);
    const bob = await place.visitor();
    bob.find();
    const { pair } = await bob.next("matched");
    const heard = [await alice.eventually("matched")];
    expect(heard).toMatchObject([{ pair }]);
    expect(since).toBeGreaterThan(0);
  });

  test("M7: who waited keeps the place when Redis came back empty", async () => {
    await open({ nodes });
    const [early, late] = [await place.visitor({ device: "one" }), await place.visitor({ device: "one" })];
    early.find();
    await early.next("waiting");
    await place.pass(2_000);
    late.find();
    await late.next("waiting");
    await killStore();
    await bringStoreBack();
    await place.pass(3_000);
    const other = await place.visitor();
    other.find();
    const { pair } = await other.next("matched");
    expect(await early.eventually("matched")).toMatchObject({ pair });
    expect((await late.heard()).filter(({ type }) => type === "matched")).toEqual([]);
  });

  test.each([
    ["leave", "left"],
    ["find", "next"],
    ["block", "blocked"],
  ] as const)(
    "%s before an empty Redis was told of the pair tells the other side all the same",
    async (type, reason) => {
      await open({ nodes });
      for (const first of [0, 1]) {
        const both = await place.pair();
        const pair = both[2];
        const [alice, bob] = [both[first]! as (typeof both)[0], both[1 - first]! as (typeof both)[0]];
        await redis.stop();
        await place.until(() => place.nodes.every((node) => !node.redis.ready));
        await bringStoreBack();
        // No time has passed: nobody has renewed a lease or restored a session yet.
        alice.send(type === "find" ? { type, mode: "video" } : type === "block" ? { type, pair } : { type });
        await alice.heard();
        await place.pass(5_000);
        const { reason: why } = await bob.next("ended");
        expect([reason, "lost"]).toContain(why);
        await bob.nothing();
        for (const visitor of both.slice(0, 2) as (typeof both)[0][]) visitor.send({ type: "leave" });
        for (const visitor of both.slice(0, 2) as (typeof both)[0][]) await visitor.heard();
        await place.settle();
      }
    },
  );
});
