import { createConnection } from "node:net";
import { expect, test } from "vitest";
import { anyFrame, validFrame } from "./frames.ts";
import { memoryInUse } from "./memory.ts";
import { PROTOCOL_RATES, places } from "./place.ts";
import type { Place } from "./place.ts";
import { Chance } from "./simulation/chance.ts";
import { Visitor } from "./visitor.ts";

/** In all. CI takes the default; `CHATRANDOM_FUZZ_FRAMES=1000000` takes some minutes. */
const FRAMES = Number(process.env["CHATRANDOM_FUZZ_FRAMES"] ?? 60_000) / 2;
const SEED = Number(process.env["CHATRANDOM_FUZZ_SEED"] ?? 20_261);
/** How many strangers there are at a time, and how many frames they send before they listen. */
const STRANGERS = 24;
const BURST = 25;
const GROWTH = 4e6;

const open = places();

/** Sends frames until the node hangs up or enough were sent, and answers with how many. */
async function rave(place: Place, chance: Chance, most: number, pairs: string[]): Promise<number> {
  const stranger = await Visitor.connect(`${place.first.origin.replace("http", "ws")}/ws`);
  const { socket } = stranger;
  socket.removeAllListeners("message");
  socket.on("message", (data) => {
    const { pair } = JSON.parse(String(data)) as { pair?: string };
    if (pair !== undefined && pairs.length < 100) pairs.push(pair);
    else if (pair !== undefined) pairs[chance.whole(100)] = pair;
  });
  // Nobody goes on for long who says what is no message (T5).
  const frame = chance.happens(0.1) ? validFrame : anyFrame;
  if (chance.happens(0.95))
    stranger.send({ type: "hello", ...(chance.happens(0.1) && { resume: "x".repeat(43) }) });
  let sent = 0;
  while (sent < most && socket.readyState === socket.OPEN) {
    stranger.stream.cork();
    for (let n = 0; n < BURST; n += 1, sent += 1) {
      const { data, binary } = frame(chance, pairs);
      socket.send(data, { binary });
    }
    stranger.stream.uncork();
    socket.ping();
    await Promise.race([new Promise((resolve) => void socket.once("pong", resolve)), stranger.closed]);
    if (chance.happens(0.05)) break;
  }
  socket.terminate();
  await stranger.closed;
  return sent;
}

test.each([
  ["as fast as it goes", {}],
  ["at the protocol's rates", { rates: PROTOCOL_RATES }],
])(
  `frames of every kind do no harm, ${FRAMES} of them: %s`,
  async (_how, rules) => {
    const place = await open({ rules });
    const [alice, bob, pair] = await place.pair();
    const chance = new Chance(SEED);
    const pairs = [pair];
    const quiet = async () => {
      await place.until(() => place.connections === 2);
      await place.pass(25_000);
      expect(place.first.node.numbers()).toMatchObject({
        connections: 2,
        sessions: 2,
        pairedSessions: 2,
        waiting: 0,
      });
      return memoryInUse();
    };

    let sent = 0;
    const crowd = async (until: number) => {
      await Promise.all(
        Array.from({ length: STRANGERS }, async () => {
          while (sent < until) {
            const more = await rave(place, chance, 400, pairs);
            sent += more;
          }
        }),
      );
    };
    // The first ones warm it up: what is compiled and cached for good is no growth.
    await crowd(FRAMES / 10);
    const before = await quiet();
    for (let round = 1; round <= 9; round += 1) {
      await crowd((FRAMES / 10) * (round + 1));
      await place.pass(1_000);
      for (const [from, to] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        from.send({ type: "signal", pair, data: { round } });
        expect(await to.next("signal")).toEqual({ type: "signal", pair, data: { round } });
      }
    }
    expect((await quiet()) - before, `seed ${SEED}`).toBeLessThan(GROWTH);

    expect(place.first.logged.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
    const [carol, dave] = [await place.visitor(), await place.visitor()];
    carol.find();
    await carol.next("waiting");
    dave.find();
    expect(await carol.next("matched")).toMatchObject({ pair: (await dave.next("matched")).pair });
  },
  60_000 + 2 * FRAMES,
);

test("bytes of every kind in place of WebSocket frames do no harm", async () => {
  const place = await open();
  const [alice, bob, pair] = await place.pair();
  const chance = new Chance(SEED);
  const handshake = [
    "GET /ws HTTP/1.1",
    "Host: here",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: chatrandom.v1",
  ].join("\r\n");
  const hello = Buffer.from('{"type":"hello"}');
  const masked = Buffer.concat([Buffer.from([0x81, 0x80 | hello.length, 0, 0, 0, 0]), hello]);

  const strike = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = createConnection(place.first.http.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.on("data", () => {});
      const noise = Buffer.from(chance.bytes(1 + chance.whole(2_000)));
      switch (chance.weighted({ raw: 2, request: 2, headers: 2, frames: 4, lengths: 2 })) {
        case "raw":
          socket.write(noise);
          break;
        case "request":
          socket.write(
            Buffer.concat([Buffer.from("GET "), noise, Buffer.from(" HTTP/1.1\r\nHost: here\r\n\r\n")]),
          );
          break;
        case "headers":
          socket.write(
            Buffer.concat([Buffer.from(handshake), Buffer.from("\r\n"), noise, Buffer.from("\r\n\r\n")]),
          );
          break;
        case "frames":
          socket.write(`${handshake}\r\n\r\n`);
          socket.write(chance.happens(0.5) ? masked : Buffer.alloc(0));
          socket.write(noise);
          break;
        case "lengths": {
          // A length of up to 2⁶⁴, and nothing of what it promises.
          socket.write(`${handshake}\r\n\r\n`);
          socket.write(Buffer.from([0x81, 0xff, ...chance.bytes(12)]));
          break;
        }
      }
      if (chance.happens(0.5)) socket.end();
      else setImmediate(() => socket.destroy());
    });
  for (let round = 0; round < 40; round += 1) await Promise.all(Array.from({ length: 20 }, strike));

  await place.until(() => place.connections === 2);
  alice.send({ type: "signal", pair, data: {} });
  await bob.next("signal");
  expect((await fetch(`${place.first.origin}/readyz`)).status).toBe(200);
  expect(place.first.logged.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
});
