import { beforeEach, expect, test } from "vitest";
import { CloseCode } from "../../src/protocol/close-codes.ts";
import type { ServerMessage, Welcome } from "../../src/protocol/messages.ts";
import { Signaling } from "./signaling.ts";
import type { ServerLink } from "./state.ts";
import { FakeClock, FakeSockets } from "./testing/fakes.ts";

const welcome: Welcome = {
  type: "welcome",
  version: 1,
  resume: "token",
  resumed: false,
  state: "idle",
  iceServers: [],
  iceTransportPolicy: "all",
  online: 1,
  settings: {},
};
const status: ServerMessage = { type: "status", online: 1, waiting: 0 };

let clock: FakeClock;
let sockets: FakeSockets;
let links: ServerLink[];
let messages: ServerMessage[];
let signaling: Signaling;

beforeEach(() => {
  clock = new FakeClock();
  sockets = new FakeSockets();
  links = [];
  messages = [];
  signaling = new Signaling({
    openSocket: sockets.open,
    clock,
    random: () => 0.5,
    hello: () => ({ device: "device", resume: "before" }),
    onLink: (link) => links.push(link),
    onMessage: (message) => messages.push(message),
  });
});

function open(): void {
  signaling.connect();
  sockets.last.opens();
  sockets.last.says(welcome);
}

test("T4: hello comes first, with the resume and the device token", () => {
  signaling.connect();
  expect(sockets.last.sent).toEqual([]);
  sockets.last.opens();
  expect(sockets.last.sent).toEqual([{ type: "hello", device: "device", resume: "before" }]);
});

test("is open from the welcome on, not before", () => {
  signaling.connect();
  sockets.last.opens();
  expect(signaling.open).toBe(false);
  expect(signaling.send({ type: "leave" })).toBe(false);
  sockets.last.says(welcome);
  expect(signaling.open).toBe(true);
  expect(links).toEqual([{ state: "connecting" }, { state: "open" }]);
  expect(messages).toEqual([welcome]);
  expect(signaling.send({ type: "leave" })).toBe(true);
  expect(sockets.last.sent.at(-1)).toEqual({ type: "leave" });
});

test("T6: a node that misses its word is asked, and one that does not answer is left while its sessions still live", async () => {
  open();
  await clock.pass(15_000);
  sockets.last.says(status);
  await clock.pass(15_000);
  expect(sockets.last.sent).toHaveLength(1); // the hello
  await clock.pass(1_000);
  expect(sockets.last.sent.at(-1)).toEqual({ type: "ping" });
  await clock.pass(3_000);
  sockets.last.says({ type: "pong" });
  await clock.pass(19_000);
  expect(signaling.open).toBe(true);
  await clock.pass(1_000);
  expect(signaling.open).toBe(false);
  expect(sockets.all[0]?.closed).toBe(true);
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 1 });
});

test("a socket that never opens, or never welcomes, is given up", async () => {
  signaling.connect();
  await clock.pass(10_000);
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 1 });
  await clock.pass(1_000);
  sockets.last.opens();
  await clock.pass(10_000);
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 2 });
});

test("there is never more than one live socket, and an old one is heard no more", async () => {
  open();
  const first = sockets.last;
  const late = { ...first };
  first.breaks();
  await clock.pass(60_000);
  for (let i = 0; i < 5; i++) {
    signaling.hint("online");
    signaling.hint("visible");
    signaling.connect();
    expect(sockets.live).toBeLessThanOrEqual(1);
    await clock.pass(3_000);
  }
  sockets.last.opens();
  sockets.last.says(welcome);
  const before = links.length;
  late.onmessage?.({ data: JSON.stringify(status) } as MessageEvent);
  late.onclose?.({ code: CloseCode.superseded } as CloseEvent);
  expect(links).toHaveLength(before);
  expect(messages.at(-1)?.type).toBe("welcome");
  expect(signaling.open).toBe(true);
});

test("backs off while the node is away and begins anew after a connection that lasted", async () => {
  open();
  sockets.last.breaks();
  for (const attempt of [1, 2, 3, 4]) {
    expect(links.at(-1)).toEqual({ state: "reconnecting", attempt });
    await clock.until(() => sockets.live === 1);
    sockets.last.breaks();
  }
  await clock.until(() => sockets.live === 1);
  sockets.last.opens();
  sockets.last.says(welcome);
  await clock.pass(1_000);
  sockets.last.breaks();
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 6 });
  await clock.until(() => sockets.live === 1);
  sockets.last.opens();
  sockets.last.says(welcome);
  await clock.pass(10_000);
  sockets.last.breaks();
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 1 });
});

test.each([
  [CloseCode.protocolViolation, { state: "closed", why: "violation" }],
  [CloseCode.flooding, { state: "closed", why: "flooding" }],
  [CloseCode.superseded, { state: "closed", why: "superseded" }],
  [CloseCode.notAdmitted, { state: "closed", why: "notAdmitted" }],
  [4599, { state: "closed", why: "violation" }],
])("close code %i stays closed until the visitor wants otherwise", async (code, link) => {
  open();
  sockets.last.breaks(code);
  signaling.hint("online");
  await clock.pass(3_600_000);
  expect(links.at(-1)).toEqual(link);
  expect(sockets.all).toHaveLength(1);
  expect(clock.pending).toBe(0);
  signaling.connect();
  expect(sockets.all).toHaveLength(2);
});

test("a ban says until when and why", () => {
  open();
  sockets.last.says({ type: "banned", until: 99, reason: "spam" });
  sockets.last.breaks(CloseCode.banned);
  expect(links.at(-1)).toEqual({ state: "closed", why: "banned", until: 99, reason: "spam" });
});

test("drain: connects again within the time, once", async () => {
  open();
  sockets.last.says({ type: "drain", after: 10_000 });
  await clock.pass(3_999);
  expect(sockets.all).toHaveLength(1);
  await clock.pass(1);
  expect(sockets.all).toHaveLength(2);
  expect(sockets.live).toBe(1);
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 0 });
  sockets.last.opens();
  sockets.last.says(welcome);
  await clock.pass(19_000);
  expect(sockets.all).toHaveLength(2);
});

test("drain: a node that goes earlier is left earlier", async () => {
  open();
  sockets.last.says({ type: "drain", after: 60_000 });
  await clock.pass(1_000);
  sockets.last.breaks(CloseCode.draining);
  await clock.pass(1_000);
  expect(sockets.all).toHaveLength(2);
  sockets.last.opens();
  sockets.last.says(welcome);
  await clock.pass(19_000);
  expect(sockets.all).toHaveLength(2);
});

test("a hint about the network makes it ask, and a dead node is found in 4 s", async () => {
  open();
  signaling.hint("offline");
  expect(sockets.last.sent.at(-1)).toEqual({ type: "ping" });
  sockets.last.says({ type: "pong" });
  await clock.pass(6_000);
  expect(signaling.open).toBe(true);
  signaling.hint("visible");
  await clock.pass(4_000);
  expect(signaling.open).toBe(false);
});

test("does not wait out its delay when the network is back", async () => {
  open();
  for (let i = 0; i < 6; i++) {
    sockets.last.breaks();
    await clock.until(() => sockets.live === 1);
  }
  sockets.last.breaks();
  const before = sockets.all.length;
  signaling.hint("offline");
  expect(sockets.all).toHaveLength(before);
  signaling.hint("online");
  expect(sockets.all).toHaveLength(before + 1);
});

test("blocks and reports wait for the next connection, a bounded number of them; nothing else does", () => {
  for (let i = 0; i < 20; i++) signaling.send({ type: "block", pair: `p${i}` });
  expect(signaling.send({ type: "find", mode: "text" })).toBe(false);
  expect(signaling.send({ type: "signal", pair: "p", data: {} })).toBe(false);
  open();
  expect(sockets.last.sent.slice(1).map(({ type }) => type)).toEqual(Array(8).fill("block"));
});

test("waits as long as a node that is full asks for, and says that it is full", async () => {
  signaling.connect();
  sockets.last.opens();
  sockets.last.says({ type: "error", code: "too_many_sessions", message: "full", retryAfter: 30 });
  sockets.last.breaks(1013);
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 1, full: true });
  await clock.pass(29_000);
  expect(sockets.all).toHaveLength(1);
  await clock.pass(10_000);
  expect(sockets.all).toHaveLength(2);
  sockets.last.breaks();
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 2 });
});

test("garbage from the node is dropped and the connection stays", () => {
  open();
  for (const garbage of ["", "{", "[]", '{"type":"x"}', new ArrayBuffer(3)]) sockets.last.saysText(garbage);
  expect(signaling.open).toBe(true);
  expect(messages).toHaveLength(1);
});

test("an address that cannot be opened is tried again, without an exception", async () => {
  const broken = new Signaling({
    openSocket: () => {
      throw new Error("SecurityError");
    },
    clock,
    random: () => 0.5,
    hello: () => ({}),
    onLink: (link) => links.push(link),
    onMessage: () => {},
  });
  broken.connect();
  await clock.pass(500);
  expect(links.at(-1)).toEqual({ state: "reconnecting", attempt: 2 });
});
