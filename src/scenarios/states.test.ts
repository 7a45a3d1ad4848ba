import { describe, expect, test } from "vitest";
import { places } from "./place.ts";

const open = places();

describe.each([1, 3])("on %i nodes", (nodes) => {
  test("find: idle, it waits", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    alice.find({ interests: ["chess"], languages: ["en"] });
    expect(await alice.next("waiting")).toEqual({
      type: "waiting",
      since: expect.any(Number),
      online: 1,
      waiting: 1,
      relaxed: [],
    });
    await alice.nothing();
  });

  test("find: waiting, it changes the ticket and keeps its place", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    alice.find({ mode: "video" });
    const { since } = await alice.next("waiting");
    await place.pass(3_000);
    alice.find({ mode: "text" });
    expect(await alice.next("waiting")).toMatchObject({ since });

    const bob = await place.visitor();
    bob.find({ mode: "video" });
    await bob.next("waiting");
    await alice.nothing();
    bob.find({ mode: "text" });
    const { pair, mode } = await bob.next("matched");
    expect(mode).toBe("text");
    expect(await alice.next("matched")).toMatchObject({ pair, mode: "text" });
  });

  test("find: again and again while waiting, and the last one counts", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    for (let n = 0; n < 25; n += 1) alice.find({ mode: n % 2 === 0 ? "video" : "text" });
    await alice.heard();
    await place.settle();
    const [video, text] = [await place.visitor(), await place.visitor()];
    text.find({ mode: "text" });
    await text.next("waiting");
    video.find({ mode: "video" });
    await video.next("matched");
  });

  test("find: paired, it is Next: the other side hears ended with next", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    alice.find();
    expect(await bob.next("ended")).toEqual({ type: "ended", pair, reason: "next" });
    await alice.next("waiting");

    const carol = await place.visitor();
    carol.find();
    const matched = await carol.next("matched");
    expect(matched.pair).not.toBe(pair);
    expect(await alice.next("matched")).toMatchObject({ pair: matched.pair });
    alice.send({ type: "signal", pair, data: {} });
    expect(await alice.next("error")).toMatchObject({ code: "no_such_pair" });
    await bob.nothing();
  });

  test("find: both press Next at once, and both wait", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    alice.find();
    bob.find();
    for (const visitor of [alice, bob]) await visitor.eventually("waiting");
    await place.pass(1_000);
    for (const visitor of [alice, bob]) {
      await visitor.nothing();
      visitor.send({ type: "signal", pair, data: {} });
      expect(await visitor.next("error")).toMatchObject({ code: "not_paired" });
    }
  });

  test("find: with an offer, which reaches the answerer at once; the offerer hears that it was used", async () => {
    const place = await open({ nodes });
    const [alice, bob] = [await place.visitor(), await place.visitor()];
    alice.find({ offer: "offer of alice" });
    await alice.next("waiting");
    bob.find({ offer: "offer of bob" });
    expect(await bob.next("matched")).toMatchObject({ role: "offerer", offerUsed: true });
    const answerer = await alice.next("matched");
    expect(answerer).toMatchObject({ role: "answerer", offer: "offer of bob" });
    expect(answerer.offerUsed).toBeUndefined();
  });

  test("find: without an offer, the offerer hears that none was used", async () => {
    const place = await open({ nodes });
    const [alice, bob] = [await place.visitor(), await place.visitor()];
    alice.find();
    await alice.next("waiting");
    bob.find();
    expect(await bob.next("matched")).toMatchObject({ role: "offerer", offerUsed: false });
    expect((await alice.next("matched")).offer).toBeUndefined();
  });

  test("leave: idle, nothing happens", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    alice.send({ type: "leave" });
    await alice.nothing();
  });

  test("M8, leave: waiting, and nobody gets this visitor", async () => {
    const place = await open({ nodes });
    const [alice, bob] = [await place.visitor(), await place.visitor()];
    alice.find();
    await alice.next("waiting");
    alice.send({ type: "leave" });
    await alice.nothing();
    await place.settle();
    bob.find();
    await bob.next("waiting");
    await place.pass(30_000);
    await alice.nothing();
    await bob.nothing();
  });

  test("M8, leave: at once after find, and nobody gets this visitor", async () => {
    const place = await open({ nodes });
    const [alice, bob] = [await place.visitor(), await place.visitor()];
    alice.find();
    alice.send({ type: "leave" });
    await alice.nothing();
    await place.settle();
    bob.find();
    await bob.next("waiting");
    await place.pass(10_000);
    await alice.nothing();
    await bob.nothing();
  });

  test("leave: paired, the other side hears ended with left, and both may find again", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    alice.send({ type: "leave" });
    expect(await bob.next("ended")).toEqual({ type: "ended", pair, reason: "left" });
    await alice.nothing();
    bob.send({ type: "signal", pair, data: {} });
    expect(await bob.next("error")).toMatchObject({ code: "not_paired" });
    alice.find();
    await alice.next("waiting");
    bob.find();
    await bob.next("waiting");
  });

  test("signal: idle or waiting, not_paired; with another pair, no_such_pair", async () => {
    const place = await open({ nodes });
    const loner = await place.visitor();
    loner.send({ type: "signal", pair: "x", data: {} });
    expect(await loner.next("error")).toMatchObject({ code: "not_paired" });
    loner.find({ mode: "text" });
    await loner.next("waiting");
    loner.send({ type: "signal", pair: "x", data: {} });
    expect(await loner.next("error")).toMatchObject({ code: "not_paired" });
    const [alice, bob] = await place.pair();
    alice.send({ type: "signal", pair: "x", data: {} });
    expect(await alice.next("error")).toMatchObject({ code: "no_such_pair", field: "pair" });
    await bob.nothing();
  });

  test("signal: what is sent arrives as it was sent, byte for byte and in order", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const came: string[] = [];
    bob.socket.on("message", (data) => came.push(String(data)));
    const sent = [
      `{"type":"signal","pair":"${pair}","data":{"sdp":"ünïcödé 🎥\\u0000","n":1e3}}`,
      ` { "data" : {"candidate":null} , "pair":"${pair}", "type":"signal" } `,
      `{"type":"signal","pair":"${pair}","data":{"big":"${"x".repeat(32_000)}"}}`,
    ];
    for (const text of sent) alice.sendRaw(text);
    await place.until(() => came.length === sent.length);
    expect(came).toEqual(sent);
  });

  test("ping is answered with its t, in every state", async () => {
    const place = await open({ nodes });
    const [alice] = await place.pair();
    const loner = await place.visitor();
    for (const visitor of [alice, loner]) {
      visitor.send({ type: "ping", t: 1.5 });
      expect(await visitor.next("pong")).toEqual({ type: "pong", t: 1.5 });
      visitor.send({ type: "ping" });
      expect(await visitor.next("pong")).toEqual({ type: "pong" });
    }
  });

  test("T5: a second hello is refused, and the session goes on", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    alice.send({ type: "hello" });
    expect(await alice.next("error")).toMatchObject({ code: "invalid_message", field: "type" });
    alice.send({ type: "hello", resume: bob.welcome.resume });
    expect(await alice.next("error")).toMatchObject({ code: "invalid_message", field: "type" });
    alice.send({ type: "signal", pair, data: { n: 1 } });
    expect(await bob.next("signal")).toMatchObject({ data: { n: 1 } });
  });

  test("an interest that cannot be taken is an invalid_message with its field", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    alice.find({ interests: ["a\u0000b"] });
    expect(await alice.next("error")).toMatchObject({ code: "invalid_message", field: "interests" });
    alice.find({ languages: ["?"] });
    expect(await alice.next("error")).toMatchObject({ code: "invalid_message", field: "languages" });
    await alice.nothing();
  });

  test("numbers: welcome, waiting and status count the whole place", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    expect(alice.welcome.online).toBe(1);
    await place.pass(2_000); // nodes tell each other their numbers once a second
    const bob = await place.visitor();
    bob.find();
    await bob.next("waiting");
    await place.pass(2_000);
    const carol = await place.visitor({ node: 0 });
    expect([2, 3]).toContain(carol.welcome.online);
    carol.find({ mode: "text" });
    expect([1, 2]).toContain((await carol.next("waiting")).waiting);
    carol.send({ type: "leave" });
    await carol.nothing();
    const status = carol.next("status");
    await place.pass(20_000);
    expect(await status).toEqual({ type: "status", online: 3, waiting: 1 });
    await place.drop(alice);
    bob.send({ type: "leave" });
    await bob.nothing();
    const later = carol.next("status");
    await place.pass(20_000);
    expect(await later).toEqual({ type: "status", online: 2, waiting: 0 });
  });

  test("metrics count what has happened", async () => {
    const place = await open({ nodes });
    const [alice, bob, pair] = await place.pair();
    const waiting = await place.visitor();
    waiting.find({ mode: "text" });
    await waiting.next("waiting");
    for (let n = 0; n < 3; n += 1) alice.send({ type: "signal", pair, data: { n } });
    await alice.nothing();
    await bob.heard();
    await place.connect();
    const texts = await Promise.all(
      place.nodes.map(({ origin }) => fetch(`${origin}/metrics`).then((a) => a.text())),
    );
    const sum = (name: string) =>
      texts
        .flatMap((text) => text.split("\n").filter((line) => line.startsWith(`${name} `)))
        .reduce((total, line) => total + Number(line.slice(name.length)), 0);
    expect(sum("chatrandom_connections")).toBe(4);
    expect(sum("chatrandom_sessions_waiting")).toBe(1);
    expect(sum("chatrandom_pairs_active")).toBe(1);
    expect(sum('chatrandom_matches_total{mode="video"}')).toBe(1);
    expect(sum("chatrandom_match_wait_seconds_count")).toBe(2);
    expect(sum(`chatrandom_signals_relayed_total{route="${nodes === 1 ? "local" : "link"}"}`)).toBe(3);
  });

  test("welcome says all that a page needs", async () => {
    const place = await open({ nodes });
    const alice = await place.visitor();
    expect(alice.welcome).toEqual({
      type: "welcome",
      version: 1,
      resume: expect.stringMatching(/^[\w-]{43}$/),
      resumed: false,
      state: "idle",
      iceServers: [{ urls: ["stun:stun.example:3478"] }],
      iceTransportPolicy: "all",
      online: 1,
      settings: { name: "Here", lan: true },
    });
  });

  test("welcome says whether this connection comes from a private network, also after a resume", async () => {
    const place = await open({ nodes, trustedProxies: ["loopback"] });
    const from = (address: string) => place.connect({ headers: { "X-Forwarded-For": address } });
    const abroad = await from("198.51.100.7");
    await abroad.hello();
    expect(abroad.welcome.settings.lan).toBe(false);
    const atHome = await from("192.168.1.5");
    await atHome.hello({ resume: abroad.welcome.resume });
    expect(atHome.welcome).toMatchObject({ resumed: true, settings: { lan: true } });
    const logged = JSON.stringify(place.nodes.map((node) => node.logged));
    expect(logged).not.toMatch(/198\.51\.100\.7|192\.168\.1\.5/);
  });
});
