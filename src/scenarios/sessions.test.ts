import { describe, expect, test } from "vitest";
import type { ServerMessage } from "../protocol/messages.ts";
import { sessionIdOf } from "../session/resume-token.ts";
import { places } from "./place.ts";

const open = places();
const signal = (pair: string, n: number) => ({ type: "signal", pair, data: { n } }) as const;

describe.each([1, 3])("on %i nodes", (nodes) => {
  test("S1: only the two of a pair can use it", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const [carol, dave, theirs] = await place.pair();
    const erin = await place.visitor();

    for (const [stranger, code] of [
      [carol, "no_such_pair"],
      [erin, "not_paired"],
    ] as const) {
      stranger.send(signal(pair, 1));
      expect(await stranger.next("error")).toMatchObject({ code });
      stranger.send({ type: "block", pair });
      expect(await stranger.next("error")).toMatchObject({ code });
      stranger.send({ type: "report", pair, reason: "spam" });
      expect(await stranger.next("error")).toMatchObject({ code });
    }
    await alice.nothing();
    await bob.nothing();
    alice.send(signal(pair, 2));
    expect(await bob.next("signal")).toEqual(signal(pair, 2));
    carol.send(signal(theirs, 3));
    expect(await dave.next("signal")).toEqual(signal(theirs, 3));
  });

  test("S1: a visitor who names somebody is not understood", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const carol = await place.visitor();
    const to = sessionIdOf(carol.welcome.resume);
    alice.sendRaw(
      JSON.stringify({
        ...signal(pair, 1),
        to,
        session: to,
        partner: to,
        target: to,
        node: place.first.node.id,
      }),
    );
    await bob.next("signal");
    await carol.nothing();
  });

  test("S1: ids hold 128 random bits, and the other side learns nothing but the pair", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor({ device: "device-of-alice", lang: "en" });
    const bob = await place.visitor({ device: "device-of-bob" });
    const heard: ServerMessage[] = [];
    bob.socket.on("message", (data) => heard.push(JSON.parse(String(data)) as ServerMessage));
    bob.find({ interests: ["chess", "go"] });
    await bob.next("waiting");
    alice.find({ offer: "v=0", interests: ["go", "secret of alice"] });
    const { pair } = await alice.next("matched");
    await bob.next("matched");
    alice.send(signal(pair, 1));
    await bob.next("signal");
    alice.send({ type: "leave" });
    await bob.next("ended");

    expect(Buffer.from(pair, "base64url").length).toBeGreaterThanOrEqual(16);
    expect(Buffer.from(alice.welcome.resume, "base64url").length).toBeGreaterThanOrEqual(16);
    expect(alice.welcome.resume).not.toBe(bob.welcome.resume);
    expect(heard.filter(({ type }) => type !== "status" && type !== "waiting")).toEqual([
      { type: "matched", pair, mode: "video", role: "answerer", offer: "v=0", common: { interests: ["go"] } },
      signal(pair, 1),
      { type: "ended", pair, reason: "left" },
    ]);
  });

  test("S2: a lost connection leaves its session for the grace, and the other side is not told", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    await place.drop(alice);
    await place.pass(19_000);
    await bob.nothing();

    const again = await place.visitor({ resume: alice.welcome.resume });
    expect(again.welcome).toMatchObject({ resumed: true, state: "paired", pair, role: "offerer" });
    await place.pass(60_000);
    again.send(signal(pair, 1));
    expect(await bob.next("signal")).toEqual(signal(pair, 1));
    bob.send(signal(pair, 2));
    expect(await again.next("signal")).toEqual(signal(pair, 2));
  });

  test("S2: signals for an absent side are kept, at most 64, and come in order after the welcome", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    await place.drop(bob);
    for (let n = 0; n < 70; n += 1) alice.send(signal(pair, n));
    await place.until(async () => {
      const all = await Promise.all(place.nodes.map(({ metrics }) => metrics()));
      return all.some((text) => text.includes("\nchatrandom_held_signals_dropped_total 6\n"));
    });

    const again = await place.visitor({ resume: bob.welcome.resume });
    // Between nodes, what is said at the very moment of the move may come to where there is no room.
    if (nodes === 1) alice.send(signal(pair, 100));
    for (let n = 0; n < 64; n += 1) expect(await again.next("signal")).toEqual(signal(pair, n));
    if (nodes > 1) alice.send(signal(pair, 100));
    expect(await again.next("signal")).toEqual(signal(pair, 100));
  });

  test("S2: a pair that ends while one is absent has ended when they are back", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    await place.drop(bob);
    alice.send(signal(pair, 1));
    alice.send({ type: "leave" });
    await alice.nothing();
    await place.settle();
    const again = await place.visitor({ resume: bob.welcome.resume });
    expect(again.welcome).toMatchObject({ resumed: true, state: "idle" });
    expect(again.welcome.pair).toBeUndefined();
    await again.nothing();
  });

  test("S3: resume goes on idle", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    await place.drop(alice);
    const again = await place.visitor({ resume: alice.welcome.resume });
    expect(again.welcome).toMatchObject({ resumed: true, state: "idle", resume: alice.welcome.resume });
    again.find();
    await again.next("waiting");
  });

  test("S3: resume goes on waiting, at the old place", async () => {
    const place = await open({ nodes });
    // Alice and Bob never meet, being on one device, and Alice has waited longer.
    const alice = await place.visitor({ device: "one" });
    alice.find();
    const { since } = await alice.next("waiting");
    await place.pass(3_000);
    const bob = await place.visitor({ device: "one" });
    bob.find();
    await bob.next("waiting");

    await place.drop(alice);
    await place.pass(5_000);
    const again = await place.visitor({ resume: alice.welcome.resume });
    expect(again.welcome).toMatchObject({ resumed: true, state: "waiting" });
    expect(await again.next("waiting")).toMatchObject({ since });

    const carol = await place.visitor();
    carol.find();
    const { pair } = await carol.next("matched");
    expect(await again.next("matched")).toMatchObject({ pair });
    await bob.nothing();
  });

  test("S3: resume closes the older connection with 4503, whose words count no more", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const newer = await place.visitor({ resume: alice.welcome.resume });
    expect(await alice.closed).toMatchObject({ code: 4503 });
    expect(newer.welcome).toMatchObject({ resumed: true, state: "paired", pair });
    await bob.nothing();
    bob.send(signal(pair, 1));
    expect(await newer.next("signal")).toEqual(signal(pair, 1));
    expect(place.nodes.reduce((sum, { node }) => sum + node.numbers().sessions, 0)).toBe(2);
  });

  test("S3: a page that resumes again and again keeps its pair", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    let newest = alice;
    for (let n = 0; n < 10; n += 1) {
      if (n % 2 === 0) await place.drop(newest);
      const older = newest;
      newest = await place.visitor({ resume: alice.welcome.resume });
      await older.closed; // until then it may be the one that hears
      bob.send(signal(pair, n));
      expect(await newest.next("signal")).toEqual(signal(pair, n));
      newest.send(signal(pair, 100 + n));
      expect(await bob.next("signal")).toEqual(signal(pair, 100 + n));
    }
  });

  test("S2, S3: who hops from node to node while signals come misses none and gets none twice", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    let newest = bob;
    let sent = 0;
    const send = (count: number) => {
      for (let n = 0; n < count; n += 1) alice.send(signal(pair, sent++));
    };
    const came: number[] = [];
    const note = (message: ServerMessage) => void came.push((message as ReturnType<typeof signal>).data.n);
    for (let hop = 0; hop < 12; hop += 1) {
      if (hop % 2 === 0) await place.drop(newest);
      send(3);
      const next = await place.connect();
      next.send({ type: "hello", resume: bob.welcome.resume });
      send(3);
      // What the older connection, if there is one, was sent is not sent again.
      await newest.closed;
      newest.inbox.forEach(note);
      newest = next;
      await next.next("welcome");
      send(3);
      while (came.length < sent) note(await next.next("signal"));
      await next.nothing();
      expect(came).toEqual(Array.from({ length: sent }, (_, n) => n));
    }
  });

  test("S3: what a client says before its welcome is answered after it, in order", async () => {
    const place = await open({ nodes });
    const forged = Buffer.alloc(32, 7).toString("base64url");
    const alice = await place.connect();
    alice.send({ type: "hello", resume: forged });
    alice.send({ type: "ping", t: 1 });
    alice.find();
    alice.send({ type: "ping", t: 2 });
    expect(await alice.next("welcome")).toMatchObject({ resumed: false });
    expect(await alice.next("pong")).toMatchObject({ t: 1 });
    expect(await alice.next("pong")).toMatchObject({ t: 2 });
    await alice.next("waiting");
  });

  test("S4: after the grace the other side gets ended with lost, once", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    await place.drop(alice);
    await place.pass(19_000);
    await bob.nothing();
    await place.pass(1_000);
    expect(await bob.next("ended")).toEqual({ type: "ended", pair, reason: "lost" });
    await place.pass(60_000);
    await bob.nothing();
    bob.find();
    await bob.next("waiting");
  });

  test("S4: an absent visitor's ticket is not matched, and is again after the resume", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    alice.find();
    const { since } = await alice.next("waiting");
    await place.drop(alice);
    await place.settle();
    const bob = await place.visitor();
    bob.find();
    await bob.next("waiting");
    await place.pass(5_000);
    await bob.nothing();

    const again = await place.visitor({ resume: alice.welcome.resume });
    const { pair } = await again.next("matched");
    expect(await bob.next("matched")).toMatchObject({ pair });
    expect(since).toBeLessThan(Number.MAX_SAFE_INTEGER);
  });

  test("S4: after the grace the ticket is gone", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    alice.find();
    await alice.next("waiting");
    await place.drop(alice);
    await place.pass(20_500);
    expect(place.nodes.map(({ node }) => node.numbers().sessions)).toEqual(place.nodes.map(() => 0));
    const bob = await place.visitor();
    bob.find();
    await bob.next("waiting");
    await place.pass(30_000);
    await bob.nothing();
  });

  test("S5: a token whose session has ended gives a fresh session", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    await place.drop(alice);
    await place.pass(21_000);
    const again = await place.visitor({ resume: alice.welcome.resume });
    expect(again.welcome).toMatchObject({ resumed: false, state: "idle" });
    expect(again.welcome.resume).not.toBe(alice.welcome.resume);
  });

  test("S5: a forged token gives a fresh session, never somebody else's", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const { resume } = alice.welcome;
    const forgeries = [
      sessionIdOf(resume),
      resume.slice(0, -1),
      `${resume}A`,
      resume.toLowerCase(),
      pair,
      "*",
      "{pool}:",
      " ",
      "\u0000",
      "é".repeat(64),
      Buffer.alloc(32).toString("base64url"),
    ];
    for (const forgery of forgeries) {
      const mallory = await place.visitor({ resume: forgery });
      expect(mallory.welcome).toMatchObject({ resumed: false, state: "idle" });
      expect(mallory.welcome.resume).not.toBe(forgery);
      mallory.send(signal(pair, 1));
      await mallory.next("error");
    }
    alice.send(signal(pair, 2));
    expect(await bob.next("signal")).toEqual(signal(pair, 2));
  });
});
