import { describe, expect, test } from "vitest";
import { Visitor } from "./visitor.ts";
import { places } from "./place.ts";

const open = places();

const statusOf = async (connecting: Promise<unknown>): Promise<string> =>
  connecting.then(
    () => "upgraded",
    (error: Error) => error.message,
  );

describe.each([1, 3])("on %i nodes", (nodes) => {
  test("drain: visitors hear it, calls go on meanwhile, and who stays is closed with 4400 in the end", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const drained = Promise.all(place.nodes.map(({ node }) => node.drain(5_000)));
    for (const visitor of [alice, bob])
      expect(await visitor.next("drain")).toEqual({ type: "drain", after: 5_000 });
    alice.send({ type: "signal", pair, data: {} });
    await bob.next("signal");
    await place.pass(4_500);
    await alice.nothing();
    await place.pass(1_000);
    expect((await alice.closed).code).toBe(4400);
    expect((await bob.closed).code).toBe(4400);
    await drained;
  });

  test("drain: is over as soon as everybody has gone", async () => {
    const place = await open({ nodes });
    const [alice, bob] = await place.pair();
    const drained = Promise.all(place.nodes.map(({ node }) => node.drain(3_600_000)));
    for (const visitor of [alice, bob]) {
      await visitor.next("drain");
      await visitor.drop();
    }
    await drained;
  });

  test("drain: nobody new is let in, and readyz says why", async () => {
    const place = await open({ nodes });
    const silent = await place.connect({ node: 0 });
    const { origin, node } = place.first;
    const drained = node.drain(5_000);
    expect(await statusOf(Visitor.connect(`${origin.replace("http", "ws")}/ws`))).toContain("503");
    const ready = await fetch(`${origin}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reasons: ["draining"] }]);
    silent.send({ type: "hello" });
    expect((await silent.closed).code).toBe(4400);
    await place.pass(6_000);
    await drained;
  });

  test("M8, drain: nobody of the node is handed out afterwards", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor({ node: 0 });
    alice.find();
    await alice.next("waiting");
    const ghost = await place.ghost();
    await place.first.node.drain(0);
    expect(await ghost.find("video")).toMatchObject({ kind: "waiting" });
  });

  test("S3, drain: sessions can be resumed afterwards, within the grace", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    await place.replaceNodes();
    const [again, other] = [
      await place.visitor({ resume: alice.welcome.resume }),
      await place.visitor({ resume: bob.welcome.resume }),
    ];
    expect(again.welcome).toMatchObject({ resumed: true, state: "paired", pair });
    expect(other.welcome).toMatchObject({ resumed: true, state: "paired", pair });
    for (const [from, to] of [
      [again, other],
      [other, again],
    ] as const) {
      from.send({ type: "signal", pair, data: {} });
      await to.next("signal");
    }
  });
});

test("drain: the node lets go of everything, and nothing of it runs on", async () => {
  const place = await open();
  const [, bob] = await place.pair();
  const alice = await place.visitor();
  alice.find();
  await alice.next("waiting");
  await place.drop(bob);
  await place.first.node.drain(0);
  expect(place.first.node.numbers()).toMatchObject({
    connections: 0,
    sessions: 0,
    waiting: 0,
    pairedSessions: 0,
  });
  expect(place.clock.pending).toBe(0);
});

test("S2, S3: what is said while the other side's node is replaced arrives once they are back, in order", async () => {
  const place = await open({ nodes: 3 });
  const [alice, bob, pair] = await place.pair();
  await place.replaceNode(0); // the answerer's
  expect((await bob.closed).code).toBe(4400);
  const signal = (n: number) => ({ type: "signal", pair, data: { n } }) as const;
  for (let n = 0; n < 10; n += 1) alice.send(signal(n));
  await alice.nothing();
  const again = await place.visitor({ resume: bob.welcome.resume });
  expect(again.welcome).toMatchObject({ resumed: true, state: "paired", pair });
  for (let n = 0; n < 10; n += 1) expect(await again.next("signal")).toEqual(signal(n));
  alice.send(signal(10));
  expect(await again.next("signal")).toEqual(signal(10));
  again.send(signal(11));
  expect(await alice.next("signal")).toEqual(signal(11));
});
