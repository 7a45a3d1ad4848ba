import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { memoryInUse } from "./memory.ts";
import { places } from "./place.ts";
import type { Place } from "./place.ts";

/** Both ends of a connection are in this process, and so are their file descriptors: so many are open at a time. */
const AT_A_TIME = 500;
const CONNECTIONS = 10_000;

const HANDSHAKE = [
  "GET /ws HTTP/1.1",
  "Host: here",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol: chatrandom.v1",
  "\r\n",
].join("\r\n");
const frame = (message: object): Buffer => {
  const payload = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
};
const HELLO = frame({ type: "hello" });
const FIND = frame({ type: "find", mode: "video" });

const open = places();

/** Connects, gets as far as `how` says, and is gone without a word. Answers with the first line that came. */
function comeAndGo(place: Place, how: "connect" | "ask" | "upgrade" | "hello" | "find"): Promise<string> {
  return new Promise((resolve) => {
    const socket: Socket = createConnection(place.first.http.port, "127.0.0.1");
    let came = "";
    socket.on("error", () => {});
    socket.on("close", () => resolve(came.slice(0, came.indexOf("\r\n"))));
    socket.on("connect", () => {
      if (how === "connect") return socket.resetAndDestroy();
      socket.write(HANDSHAKE);
      if (how === "ask") return socket.destroy();
      if (how === "hello" || how === "find") socket.write(HELLO);
      if (how === "find") socket.write(FIND);
    });
    socket.on("data", (data) => {
      came += String(data);
      if (how === "upgrade" || came.includes('"welcome"') || !came.startsWith("HTTP/1.1 101"))
        socket.destroy();
    });
  });
}

test(`${CONNECTIONS} connections opened and dropped leave nothing behind`, async () => {
  const place = await open({ rules: { maxSessions: CONNECTIONS } });
  const [alice, bob, pair] = await place.pair();
  // Few get as far as Redis, which would be what takes the time here.
  const howOf = (n: number) =>
    n % 25 === 0 ? "find" : n % 25 === 1 ? "hello" : (["connect", "ask", "upgrade"] as const)[n % 3]!;
  const rush = async (count: number) => {
    for (let left = count; left > 0; left -= AT_A_TIME) {
      await Promise.all(Array.from({ length: AT_A_TIME }, (_, n) => comeAndGo(place, howOf(n))));
    }
    await place.until(() => place.connections === 2);
    await place.pass(25_000);
    expect(place.first.node.numbers()).toMatchObject({
      connections: 2,
      sessions: 2,
      waiting: 0,
      pairedSessions: 2,
    });
    return memoryInUse();
  };
  const before = await rush(CONNECTIONS / 10);
  expect((await rush(CONNECTIONS - CONNECTIONS / 10)) - before).toBeLessThan(10e6);
  alice.send({ type: "signal", pair, data: {} });
  await bob.next("signal");
  expect(place.first.logged.filter(({ level }) => level !== "debug")).toEqual([]);
}, 180_000);

test("T7: a crowd from one address is turned away at the door, and nobody else is", async () => {
  let address = "203.0.113.5";
  const some = { burst: 100, perSecond: 5 };
  const place = await open({
    rules: { addressRates: { connections: some, sessions: some, finds: some } },
    addressOf: () => address,
  });
  const answers: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    answers.push(...(await Promise.all(Array.from({ length: 250 }, () => comeAndGo(place, "hello")))));
  }
  const count = (status: string) => answers.filter((line) => line.startsWith(`HTTP/1.1 ${status}`)).length;
  expect([count("101"), count("429")]).toEqual([100, 900]);
  address = "198.51.100.7";
  const other = await place.visitor();
  other.find();
  await other.next("waiting");
});

test("T7: a crowd from a thousand addresses is served, and its addresses are forgotten", async () => {
  let n = 0;
  const few = { burst: 5, perSecond: 1 };
  const place = await open({
    rules: { addressRates: { connections: few, sessions: few, finds: few } },
    addressOf: () => `2001:db8:${((n += 1) % 1_000).toString(16)}::1`,
  });
  for (let round = 0; round < 4; round += 1) {
    const answers = await Promise.all(Array.from({ length: 500 }, () => comeAndGo(place, "upgrade")));
    expect(new Set(answers)).toEqual(new Set(["HTTP/1.1 101 Switching Protocols"]));
  }
  expect(place.first.node.addresses.size).toBe(1_000);
  await place.pass(60_000);
  expect(place.first.node.addresses.size).toBe(0);
});
