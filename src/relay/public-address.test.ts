import { createSocket, type Socket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";
import { realClock } from "../clock.ts";
import { StillClock } from "../still-clock.ts";
import {
  askServer,
  findPublicAddress,
  isNews,
  pauseAfter,
  relayedAt,
  type Sought,
} from "./public-address.ts";
import { startTestTurn } from "./test-server.ts";
import { until } from "../test-until.ts";

const HALF_HOUR = 30 * 60_000;
const OUTSIDE = "8.8.4.4";
const RELAY: Sought = {
  inside: "10.0.0.5",
  relayed: ["10.0.0.5"],
  own: ["127.0.0.1", "10.0.0.5"],
  port: 3478,
  secret: "hush",
};
const FOUND = { outside: OUTSIDE, inside: "10.0.0.5" };

/** One that asks `servers`, which say what `seen` says, or nothing; at the address the relay says where it relays. */
function finder(servers = ["stun:a.example", "stun:b.example"]) {
  const clock = new StillClock();
  const log = { debug: vi.fn(), info: vi.fn() };
  const found = vi.fn();
  const world = {
    relay: RELAY as Sought | undefined,
    seen: { "stun:a.example": OUTSIDE } as Record<string, string>,
    relayed: "10.0.0.5" as string | Error,
  };
  const ask = vi.fn<typeof askServer>(async (server) => {
    const seen = world.seen[server];
    if (seen === undefined) throw new Error("it does not answer");
    return seen;
  });
  const tryAt = vi.fn<typeof relayedAt>(async () => {
    if (world.relayed instanceof Error) throw world.relayed;
    return world.relayed;
  });
  const { askIn, stop } = findPublicAddress({
    servers,
    relay: () => world.relay,
    found,
    clock,
    log,
    ask,
    tryAt,
  });
  /** What was asked for has been answered. */
  const settle = () => until(() => clock.pending === 1);
  return {
    world,
    clock,
    log,
    found,
    ask,
    tryAt,
    askIn,
    stop,
    settle,
    /** Lets so much time pass, and everything be answered. */
    async pass(ms: number) {
      clock.move(ms);
      await settle();
    },
    asked: () => ask.mock.calls.map(([server]) => server),
    said: () => log.info.mock.calls.map(([, message]) => message as string),
  };
}

test("nobody is asked before it is told to, and where nobody is to be asked", async () => {
  const { ask, clock } = finder();
  clock.move(HALF_HOUR);
  expect(ask).not.toHaveBeenCalled();
  const none = finder([]);
  none.askIn(0);
  expect(none.clock.pending).toBe(0);
});

test("an address that leads to the relay is found, once what tried it counts as a call no more", async () => {
  const { askIn, pass, found, tryAt, clock, settle, said } = finder();
  askIn(0);
  await pass(0);
  expect(tryAt).toHaveBeenCalledWith(OUTSIDE, RELAY, expect.anything());
  expect(found).not.toHaveBeenCalled();
  clock.move(2_500);
  await settle();
  expect(found).toHaveBeenCalledExactlyOnceWith(FOUND);
  expect(said()).toEqual(["the public address of the relay is found"]);
});

test("servers are asked in turn, until one answers", async () => {
  const { world, askIn, pass, asked, tryAt, log } = finder();
  world.seen = { "stun:b.example": OUTSIDE };
  askIn(0);
  await pass(0);
  expect(asked()).toEqual(["stun:a.example", "stun:b.example"]);
  expect(tryAt).toHaveBeenCalledOnce();
  expect(log.debug).toHaveBeenCalledOnce();
});

test("an address that leads elsewhere, or that does not lead back, is told once and left", async () => {
  const { world, askIn, pass, found, said, log } = finder();
  world.relayed = new Error("it does not answer");
  askIn(0);
  await pass(0);
  expect(said()).toEqual([expect.stringContaining("set turn.public_address")]);
  expect(log.info.mock.calls[0]![0]).toEqual({
    seen: OUTSIDE,
    by: "stun:a.example",
    reason: "it does not answer",
  });
  // That of another node of the cluster, which takes the same credentials.
  world.relayed = "10.0.0.6";
  await pass(HALF_HOUR);
  expect(said()).toHaveLength(1);
  world.seen["stun:a.example"] = "8.8.8.8";
  await pass(HALF_HOUR);
  expect(said()).toHaveLength(2);
  expect(found).not.toHaveBeenCalled();
  // The ports are forwarded now.
  world.relayed = "10.0.0.5";
  await pass(HALF_HOUR);
  await pass(2_500);
  expect(found).toHaveBeenCalledExactlyOnceWith({ ...FOUND, outside: "8.8.8.8" });
});

test("the address is asked for every half hour; another one that leads to the relay takes its place", async () => {
  const { world, askIn, pass, found, tryAt, ask } = finder();
  askIn(0);
  await pass(0);
  await pass(2_500);
  world.relay = { ...RELAY, outside: OUTSIDE, relayed: [OUTSIDE] };
  await pass(HALF_HOUR - 1);
  expect(ask).toHaveBeenCalledTimes(1);
  await pass(1);
  expect(ask).toHaveBeenCalledTimes(2);
  // It is the same.
  expect(tryAt).toHaveBeenCalledOnce();
  world.seen["stun:a.example"] = "8.8.8.8";
  // The relay tells the address that it knows.
  world.relayed = "10.0.0.5";
  await pass(HALF_HOUR);
  await pass(2_500);
  expect(tryAt).toHaveBeenCalledTimes(2);
  expect(found).toHaveBeenCalledTimes(1);
  world.relayed = OUTSIDE;
  await pass(HALF_HOUR);
  await pass(2_500);
  expect(found).toHaveBeenLastCalledWith({ ...FOUND, outside: "8.8.8.8" });
});

test("without an answer it is asked again soon, then less and less often, and nothing but details is logged", async () => {
  expect([0, 1, 2, 3, 5, 6, 99].map((unanswered) => pauseAfter(unanswered) / 60_000)).toEqual([
    30, 1, 2, 4, 16, 30, 30,
  ]);
  const { world, askIn, pass, ask, log } = finder(["stun:b.example"]);
  askIn(0);
  await pass(0);
  for (const minutes of [1, 2, 4]) {
    await pass(minutes * 60_000 - 1);
    const before = ask.mock.calls.length;
    await pass(1);
    expect(ask.mock.calls.length).toBe(before + 1);
  }
  expect(log.info).not.toHaveBeenCalled();
  world.seen["stun:b.example"] = "10.0.0.5";
  await pass(8 * 60_000);
  world.seen = {};
  await pass(HALF_HOUR);
  await pass(60_000);
  expect(ask).toHaveBeenCalledTimes(7);
});

test("while the relay does not run, or its address is known otherwise, nobody is asked", async () => {
  const { world, askIn, pass, ask } = finder();
  world.relay = undefined;
  askIn(0);
  await pass(0);
  expect(ask).not.toHaveBeenCalled();
  world.relay = RELAY;
  await pass(60_000);
  expect(ask).toHaveBeenCalledOnce();
});

test("who is told to ask anew leaves what was asked before", async () => {
  const { askIn, clock, ask, tryAt, settle, found } = finder();
  const answers: (() => void)[] = [];
  ask.mockImplementation(() => new Promise((resolve) => answers.push(() => resolve(OUTSIDE))));
  askIn(0);
  clock.move(0);
  expect(answers).toHaveLength(1);
  const [, { signal }] = ask.mock.calls[0]!;
  askIn(5_000);
  expect(signal.aborted).toBe(true);
  answers[0]!();
  await settle();
  expect(tryAt).not.toHaveBeenCalled();
  clock.move(5_000);
  expect(answers).toHaveLength(2);
  expect(found).not.toHaveBeenCalled();
});

test("stopped, it asks and tells nothing any more", async () => {
  const { askIn, stop, clock, pass, found } = finder();
  askIn(0);
  await pass(0);
  stop();
  clock.move(HALF_HOUR);
  expect(found).not.toHaveBeenCalled();
  expect(clock.pending).toBe(0);
});

test("stopped while it asks, it asks nobody else", async () => {
  const { askIn, stop, clock, ask, log } = finder();
  const ended = Promise.withResolvers<void>();
  ask.mockImplementation(async (_server, { signal }) => {
    await once(signal, "abort");
    ended.resolve();
    throw new Error("it is over");
  });
  askIn(0);
  clock.move(0);
  stop();
  await ended.promise;
  await new Promise(setImmediate);
  expect(ask).toHaveBeenCalledOnce();
  expect(log.debug).not.toHaveBeenCalled();
});

test.each<[string, Partial<Sought>, boolean]>([
  ["8.8.4.4", {}, true],
  ["8.8.4.4", { outside: "8.8.8.8" }, true],
  ["8.8.4.4", { outside: "8.8.4.4" }, false],
  ["8.8.4.4", { own: ["10.0.0.5", "8.8.4.4"] }, false],
  ["10.0.0.5", {}, false],
  ["100.64.0.9", {}, false],
  ["2606:4700::5", {}, false],
])("the address %s of a relay with %j is news: %s", (seen, more, news) => {
  expect(isNews(seen, { ...RELAY, ...more })).toBe(news);
});

test("a real server says from where it sees us, and where it relays for who has its secret", async () => {
  const turn = await startTestTurn();
  try {
    const options = { clock: realClock, signal: new AbortController().signal };
    expect(await askServer(`stun:127.0.0.1:${turn.port}`, options)).toBe("127.0.0.1");
    expect(await relayedAt("127.0.0.1", turn, options)).toBe("127.0.0.1");
    await expect(relayedAt("127.0.0.1", { ...turn, secret: "other" }, options)).rejects.toThrow("refuses");
    await turn.stop();
    await expect(askServer(`stun:127.0.0.1:${turn.port}`, options)).rejects.toThrow("nothing listens");
  } finally {
    await turn.stop();
  }
});

test("a name is looked up, and who asks is done with it at once", async () => {
  const silent = await silentServer();
  const lookedUp = vi.spyOn(Resolver.prototype, "resolve4").mockResolvedValue(["127.0.0.1"]);
  onTestFinished(() => void lookedUp.mockRestore());
  const asking = new AbortController();
  const options = { clock: new StillClock(), signal: asking.signal };
  const answer = askServer(`stun:stun.example:${silent.address().port}`, options);
  await once(silent, "message");
  expect(lookedUp.mock.calls).toEqual([["stun.example"]]);
  asking.abort();
  await expect(answer).rejects.toThrow("closes");
});

async function silentServer(): Promise<Socket> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  onTestFinished(() => void socket.close());
  await once(socket, "listening");
  return socket;
}
