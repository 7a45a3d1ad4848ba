import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, test } from "vitest";
import { PROTOCOL_RATES, places } from "./place.ts";
import type { Place } from "./place.ts";

const open = places();

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

const HANDSHAKE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol": "chatrandom.v1",
};

/** Asks for an upgrade; a header that is undefined is left out. */
function upgrade(
  place: Place,
  headers: Record<string, string | undefined> = {},
  path = "/ws",
): Promise<Answer> {
  const all = Object.entries({ ...HANDSHAKE, ...headers }).filter(([, value]) => value !== undefined);
  return new Promise((resolve, reject) => {
    const asking = request(place.first.origin + path, {
      headers: Object.fromEntries(all) as Record<string, string>,
    });
    asking.on("upgrade", (answer, socket) => {
      socket.destroy();
      resolve({ status: answer.statusCode!, headers: answer.headers, body: "" });
    });
    asking.on("response", async (answer) => {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk as Buffer);
      resolve({ status: answer.statusCode!, headers: answer.headers, body: String(Buffer.concat(chunks)) });
    });
    asking.on("error", reject);
    asking.end();
  });
}

describe("the upgrade", () => {
  test.each([
    ["chatrandom.v1", 101],
    ["other, chatrandom.v1", 101],
    ["chatrandom.v1,chatrandom.v2", 101],
    [undefined, 400],
    ["chatrandom.v2", 400],
    ["chatrandom", 400],
    ["Chatrandom.v1", 400],
  ])("T1: offering the subprotocols %s: %i", async (offered, status) => {
    const place = await open();
    const answer = await upgrade(place, { "Sec-WebSocket-Protocol": offered });
    expect(answer.status).toBe(status);
    if (status === 101) expect(answer.headers["sec-websocket-protocol"]).toBe("chatrandom.v1");
    else expect(answer.headers.connection).toBe("close");
  });

  test.each([
    ["/ws?from=page", 101],
    ["/", 404],
    ["/ws/", 404],
    ["/wss", 404],
  ])("T1: it is at /ws: %s: %i", async (path, status) => {
    const place = await open();
    expect((await upgrade(place, {}, path)).status).toBe(status);
  });

  test.each([
    [{ "Sec-WebSocket-Version": "12" }],
    [{ "Sec-WebSocket-Key": "short" }],
    [{ "Sec-WebSocket-Key": undefined }],
  ])("T1: what is no handshake is refused: %o", async (headers) => {
    const place = await open();
    const { status } = await upgrade(place, headers);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
  });

  test("an offer of another protocol is answered as if it were not there", async () => {
    const place = await open();
    const { status, body } = await upgrade(
      place,
      { Upgrade: "h2c", Connection: "Upgrade, HTTP2-Settings" },
      "/healthz",
    );
    expect([status, body]).toEqual([200, '{"alive":true}']);
  });

  test("T3: the page's own origin, one that is allowed, and none; others get 403", async () => {
    const place = await open({ allowedOrigins: ["https://friend.example"] });
    const host = place.first.origin.replace("http://", "");
    for (const [origin, status] of [
      [undefined, 101],
      [`http://${host}`, 101],
      [`https://${host}`, 101],
      ["https://friend.example", 101],
      ["https://evil.example", 403],
      [`http://${host}.evil.example`, 403],
      ["http://127.0.0.1:1", 403],
      ["null", 403],
      ["", 403],
    ] as const) {
      expect([origin, (await upgrade(place, { Origin: origin })).status]).toEqual([origin, status]);
    }
    expect((await upgrade(place, { Host: "chat.example", Origin: "https://chat.example" })).status).toBe(101);
    expect((await upgrade(place, { Host: "chat.example", Origin: place.first.origin })).status).toBe(403);
  });
});

describe("frames", () => {
  test("T2: a frame over 64 KiB closes with 1009, one of 64 KiB is read", async () => {
    const place = await open();
    const alice = await place.visitor();
    const ping = (size: number) => {
      const empty = JSON.stringify({ type: "ping", filling: "" }).length;
      return JSON.stringify({ type: "ping", filling: "x".repeat(size - empty) });
    };
    alice.sendRaw(ping(64 * 1024));
    await alice.next("pong");
    alice.sendRaw(ping(64 * 1024 + 1));
    expect((await alice.closed).code).toBe(1009);
    const bob = await place.visitor();
    for (let part = 0; part < 65; part += 1) bob.socket.send("x".repeat(1024), { fin: part === 64 });
    expect((await bob.closed).code).toBe(1009);
  });

  test("T2: a message in several frames is one message", async () => {
    const place = await open();
    const alice = await place.visitor();
    const text = JSON.stringify({ type: "ping", t: 7 });
    for (const character of text.slice(0, -1)) alice.socket.send(character, { fin: false });
    alice.socket.send(text.slice(-1), { fin: true });
    expect(await alice.next("pong")).toEqual({ type: "pong", t: 7 });
  });

  test("T2: a message in more frames than anybody needs closes, long before it fills memory", async () => {
    const place = await open();
    const alice = await place.visitor();
    for (let part = 0; part < 1_000; part += 1) alice.socket.send("x", { fin: false });
    expect((await alice.closed).code).toBe(1008);
  });

  test("T2: a binary frame closes with 4501, before hello and after", async () => {
    const place = await open();
    for (const visitor of [await place.connect(), await place.visitor()]) {
      visitor.sendRaw(Buffer.from(JSON.stringify({ type: "hello" })));
      expect((await visitor.closed).code).toBe(4501);
    }
  });

  test("T2: text that is not UTF-8 closes with 1007", async () => {
    const place = await open();
    const alice = await place.visitor();
    alice.socket.send(Buffer.from([0x7b, 0xff, 0x7d]), { binary: false });
    expect((await alice.closed).code).toBe(1007);
  });

  test("T4: nothing within 10 s closes with 4501, hello in time does not", async () => {
    const place = await open();
    const [silent, late] = [await place.connect(), await place.connect()];
    await place.pass(9_000);
    await late.hello();
    await place.pass(1_000);
    expect((await silent.closed).code).toBe(4501);
    await place.pass(10_000);
    await late.nothing();
  });

  test("T4: another message than hello first closes with 4501", async () => {
    const place = await open();
    const alice = await place.connect();
    alice.find();
    expect((await alice.closed).code).toBe(4501);
    expect(place.first.node.numbers()).toMatchObject({ sessions: 0 });
  });

  test("T5: bad messages are answered, the tenth closes with 4501", async () => {
    const place = await open();
    const alice = await place.visitor();
    for (const [text, error] of [
      ["{", { code: "invalid_message" }],
      ["[]", { code: "invalid_message" }],
      ["{}", { code: "invalid_message", field: "type" }],
      ['{"type":"dance"}', { code: "unknown_type" }],
      ['{"type":"find"}', { code: "invalid_message", field: "mode" }],
      ['{"type":"find","mode":"video","interests":[""]}', { code: "invalid_message", field: "interests" }],
      ['{"type":"signal","data":{}}', { code: "invalid_message", field: "pair" }],
      ['{"type":"report","pair":"p","reason":"x"}', { code: "invalid_message", field: "reason" }],
      ['{"type":"ping","t":"now"}', { code: "invalid_message", field: "t" }],
    ] as const) {
      alice.sendRaw(text);
      expect(await alice.next("error")).toMatchObject(error);
    }
    alice.send({ type: "ping" });
    await alice.next("pong");
    alice.sendRaw("nonsense");
    await alice.next("error");
    expect((await alice.closed).code).toBe(4501);
  });
});

describe("signs of life", () => {
  test("T6: who answers pings stays, who answers none is closed with 4408", async () => {
    const place = await open();
    const alive = await place.visitor();
    const dead = await place.connect({ autoPong: false });
    await dead.hello();
    let pings = 0;
    alive.socket.on("ping", () => (pings += 1));
    const rounds = async (count: number) => {
      for (let n = 0; n < count; n += 1) {
        await place.pass(1_000);
        await alive.heard(); // its pong has arrived before this is answered
      }
    };
    await rounds(20);
    expect(pings).toBe(1);
    expect(dead.socket.readyState).toBe(dead.socket.OPEN);
    await rounds(20);
    expect((await dead.closed).code).toBe(4408);
    await rounds(20);
    expect(pings).toBe(3);
    await alive.nothing();
  });

  test("T6: status comes at least every 20 s", async () => {
    const place = await open();
    const alice = await place.visitor();
    const silent = await place.connect();
    const said: unknown[] = [];
    silent.socket.on("message", (data) => said.push(data));
    for (let round = 0; round < 3; round += 1) {
      const status = alice.next("status");
      await place.pass(20_000);
      expect(await status).toEqual({ type: "status", online: expect.any(Number), waiting: 0 });
    }
    expect(said).toEqual([]);
  });
});

describe("rates", () => {
  test("T7: each connection has its buckets, and refused messages do nothing", async () => {
    const place = await open({ rules: { rates: PROTOCOL_RATES } });
    const [alice, bob, pair] = await place.pair();
    for (let n = 0; n < 101; n += 1) alice.send({ type: "signal", pair, data: { n } });
    expect(await alice.next("error")).toMatchObject({ code: "rate_limited", retryAfter: 0.1 });
    await alice.nothing();
    const heard = await bob.heard();
    expect(heard.map((message) => message.type === "signal" && message.data.n)).toEqual(
      Array.from({ length: 100 }, (_, n) => n),
    );
    bob.send({ type: "signal", pair, data: { n: "mine" } });
    expect(await alice.next("signal")).toMatchObject({ data: { n: "mine" } });
    await place.pass(1_000);
    alice.send({ type: "signal", pair, data: { n: "later" } });
    expect(await bob.next("signal")).toMatchObject({ data: { n: "later" } });
  });

  test("T7: who does not stop is closed with 4502, and the other side hears nothing of it", async () => {
    const place = await open({ rules: { rates: PROTOCOL_RATES } });
    const [alice, bob, pair] = await place.pair();
    for (let n = 0; n < 400; n += 1) alice.send({ type: "signal", pair, data: {} });
    expect((await alice.closed).code).toBe(4502);
    const heard = await bob.heard();
    expect(heard.filter(({ type }) => type !== "signal")).toEqual([]);
  });

  const few = { burst: 2, perSecond: 0.5 };
  const many = { burst: 1_000, perSecond: 1_000 };

  test("T7: connections of one address, IPv6 by /64; over the limit there is no upgrade", async () => {
    let address = "203.0.113.5";
    const place = await open({
      rules: { addressRates: { connections: few, sessions: many, finds: many } },
      addressOf: () => address,
    });
    const status = async (of: string) => {
      address = of;
      return (await upgrade(place)).status;
    };
    expect([await status("203.0.113.5"), await status("203.0.113.5"), await status("203.0.113.5")]).toEqual([
      101, 101, 429,
    ]);
    expect(await status("203.0.113.6")).toBe(101);
    expect([await status("2001:db8::1"), await status("2001:db8::2:3"), await status("2001:db8::4")]).toEqual(
      [101, 101, 429],
    );
    expect(await status("2001:db8:0:1::1")).toBe(101);
    for (let n = 0; n < 5; n += 1) expect(await status("127.0.0.1")).toBe(101);
    address = "203.0.113.5";
    expect((await upgrade(place)).headers["retry-after"]).toBe("2");
    await place.pass(2_000);
    expect(await status("203.0.113.5")).toBe(101);
  });

  test("T7: sessions of one address; a resume is none", async () => {
    const place = await open({
      rules: { addressRates: { connections: many, sessions: few, finds: many } },
      addressOf: () => "203.0.113.5",
    });
    const alice = await place.visitor();
    await place.visitor();
    const third = await place.connect();
    third.send({ type: "hello" });
    expect(await third.next("error")).toMatchObject({ code: "too_many_sessions", retryAfter: 2 });
    expect((await third.closed).code).toBe(1013);
    await place.drop(alice);
    expect((await place.visitor({ resume: alice.welcome.resume })).welcome.resumed).toBe(true);
  });

  test("T7: a node that is full says so", async () => {
    const place = await open({ rules: { maxSessions: 2 } });
    await place.visitor();
    await place.visitor();
    const third = await place.connect();
    third.send({ type: "hello" });
    expect(await third.next("error")).toMatchObject({ code: "too_many_sessions" });
    expect((await third.closed).code).toBe(1013);
  });

  test("T7: finds of one address, over all its connections", async () => {
    const place = await open({
      rules: { addressRates: { connections: many, sessions: many, finds: few } },
      addressOf: () => "203.0.113.5",
    });
    const visitors = [await place.visitor(), await place.visitor({ device: "x" }), await place.visitor()];
    for (const [n, mode] of (["video", "text"] as const).entries()) {
      visitors[n]!.find({ mode });
      await visitors[n]!.next("waiting");
    }
    visitors[2]!.find();
    expect(await visitors[2]!.next("error")).toMatchObject({ code: "rate_limited", retryAfter: 2 });
    await visitors[2]!.nothing();
  });

  test("T7: X-Forwarded-For changes nothing unless a trusted proxy says it", async () => {
    const rules = { addressRates: { connections: few, sessions: many, finds: many } };
    const spoofed = {
      "X-Forwarded-For": "203.0.113.5",
      Forwarded: "for=203.0.113.5",
      "X-Real-IP": "203.0.113.5",
    };
    const plain = await open({ rules });
    for (let n = 0; n < 5; n += 1) expect((await upgrade(plain, spoofed)).status).toBe(101);

    const behind = await open({ rules, trustedProxies: ["loopback"] });
    const via = async (chain: string) => (await upgrade(behind, { "X-Forwarded-For": chain })).status;
    expect([await via("203.0.113.5"), await via("203.0.113.5"), await via("203.0.113.5")]).toEqual([
      101, 101, 429,
    ]);
    expect(await via("198.51.100.1, 203.0.113.5")).toBe(429);
    expect(await via("203.0.113.5, 198.51.100.1")).toBe(101);
  });
});
