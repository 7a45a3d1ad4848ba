import { describe, expect, test, vi } from "vitest";
import type { Envelope } from "../links/link.ts";
import { noLink } from "../links/no-link.ts";
import { sessionIdOf } from "../session/resume-token.ts";
import type { ServerMessage, Welcome } from "../protocol/messages.ts";
import type { Ice, NodeParts } from "./contracts.ts";
import { FakeSocket } from "./fake-socket.ts";
import { found, HELLO, RESUME, settled, start, TOKEN } from "./test-node.ts";

test("T6: a connection is pinged every 20 s, and dropped 20 s after a ping that it did not answer", async () => {
  const { clock, connect, node } = await start();
  const { socket } = connect(HELLO);
  while (socket.pings === 0) clock.move(1);
  expect(clock.now()).toBeLessThanOrEqual(21_000); // time begins at 1,000
  clock.move(19_999);
  expect(socket.closed).toBeUndefined();
  clock.move(1);
  expect(socket.closed?.code).toBe(4408);
  expect(node.numbers()).toMatchObject({ connections: 0, sessions: 1 });
});

test("T6: status comes at least every 20 s, to who has been welcomed", async () => {
  const { clock, connect } = await start();
  const { types } = connect(HELLO);
  const silent = connect();
  expect(types()).toEqual(["welcome"]);
  clock.move(20_000);
  expect(types()).toContain("status");
  expect(silent.types()).toEqual([]);
});

test("who waits with few hears within a second that one more does or no longer does; others do not", async () => {
  const { clock, connect, matcher, node } = await start();
  let elsewhere = 0;
  matcher.renew.mockImplementation(async (_node, here) => ({
    total: { online: here.online + elsewhere, waiting: here.waiting + elsewhere },
    nodes: ["n"],
    dead: [],
    heldSince: 1,
  }));
  const renewed = async () => {
    clock.move(1_000);
    await settled();
  };
  const numbers = ({ socket }: ReturnType<typeof connect>) =>
    socket.take().flatMap((message) => ("waiting" in message ? [[message.online, message.waiting]] : []));
  const waits = { type: "find", mode: "text" };
  const [idle, alice] = [connect(HELLO), connect(HELLO, waits)];
  await settled();
  expect(numbers(alice)).toEqual([[2, 1]]);
  await renewed();
  expect(numbers(alice)).toEqual([]);
  const bob = connect(HELLO, waits);
  await settled();
  expect(numbers(bob)).toEqual([[3, 2]]);
  await renewed();
  expect([numbers(alice), numbers(bob)]).toEqual([[[3, 2]], []]);
  expect(numbers(idle)).not.toContainEqual([3, 2]);
  bob.drop();
  await renewed();
  // Who is absent is not handed out (S4), so nobody is told that they wait.
  expect(numbers(alice)).toEqual([[2, 1]]);
  expect(node.numbers()).toMatchObject({ sessions: 3, waiting: 1 });
  elsewhere = 1;
  await renewed();
  expect(numbers(alice)).toEqual([[3, 2]]);
  elsewhere = 20;
  await renewed();
  expect(numbers(alice)).toEqual([]);
});

test("what is here is counted as it is, and not as it was at the last renewal", async () => {
  const { clock, connect } = await start();
  const waits = { type: "find", mode: "text" };
  const gone = [connect(HELLO, waits), connect(HELLO)];
  clock.move(1_000);
  await settled();
  for (const { drop } of gone) drop();
  const { socket } = connect(HELLO, waits);
  await settled();
  expect(socket.take()).toMatchObject([
    { type: "welcome", online: 1 },
    { type: "waiting", online: 1, waiting: 1 },
  ]);
});

test("a store that is there and lets the lease run out is told once, and so is the end of that", async () => {
  const told: [string, object, string][] = [];
  const tell = (level: string) => (what: object, message: string) => void told.push([level, what, message]);
  const log = { debug: () => {}, info: tell("info"), warn: tell("warn"), error: tell("error") };
  const store = { ready: true };
  const { clock, matcher } = await start({ log, store });
  const pass = async (seconds: number) => {
    for (let n = 0; n < seconds; n += 1) {
      clock.move(1_000);
      await settled();
    }
  };
  matcher.renew.mockRejectedValue(new Error("OOM command not allowed"));
  await pass(4);
  expect(told).toEqual([]);
  await pass(4);
  const refused = "Redis does not do what it is asked for; calls go on, searches wait";
  expect(told).toEqual([["warn", { reason: "OOM command not allowed" }, refused]]);
  matcher.renew.mockResolvedValue({ total: { online: 0, waiting: 0 }, nodes: ["n"], dead: [], heldSince: 1 });
  await pass(1);
  expect(told[1]).toEqual(["info", {}, "Redis does what it is asked for again"]);

  // The connection tells by itself that the store is away, and why.
  store.ready = false;
  matcher.renew.mockRejectedValue(new Error("Connection is closed."));
  await pass(10);
  expect(told).toHaveLength(2);
});

test("who runs a node that is full is told", async () => {
  let told = 0;
  const { connect, node } = await start({ onFull: () => (told += 1) });
  for (let n = 0; n < 100; n += 1) connect(HELLO);
  expect([node.numbers().sessions, told]).toEqual([100, 0]);
  expect(connect(HELLO).types()).toEqual(["error"]);
  expect([node.numbers().sessions, told]).toEqual([100, 1]);
});

test("S3: nothing is said before the welcome, and what the client said meanwhile is answered after it", async () => {
  const { connect, resumes } = await start();
  const { types } = connect(
    RESUME,
    { type: "ping" },
    { type: "find", mode: "text" },
    { type: "leave" },
    { type: "ping" },
  );
  await settled();
  expect(types()).toEqual([]);
  resumes[0]!.resolve(found());
  await settled();
  expect(types()).toEqual(["welcome", "pong", "pong"]);
});

test("a client that talks on before its welcome is kept to a bound", async () => {
  const { connect, resumes } = await start();
  const { types, say } = connect(RESUME);
  for (let n = 0; n < 20; n += 1) say({ type: "ping", t: n });
  expect(types()).toEqual(["error", "error", "error", "error"]);
  resumes[0]!.resolve(null);
  await settled();
  expect(types()).toEqual(["welcome", ...Array<string>(16).fill("pong")]);
});

test("what a client says before its welcome is kept up to the size of one frame", async () => {
  const { connect, resumes } = await start();
  const { types, say } = connect(RESUME);
  const offer = "x".repeat(30 * 1024);
  for (let n = 0; n < 4; n += 1) say({ type: "find", mode: "text", offer });
  expect(types()).toEqual(["error", "error"]);
  resumes[0]!.resolve(null);
  await settled();
  expect(types()).toEqual(["welcome", "waiting"]);
});

test("S3: a client that is gone before the store has answered leaves its session absent, for the grace", async () => {
  const { clock, connect, matcher, node, resumes } = await start();
  const { drop } = connect(RESUME);
  drop();
  resumes[0]!.resolve(found());
  await settled();
  expect(node.numbers()).toMatchObject({ connections: 0, sessions: 1 });
  clock.move(20_000);
  await settled();
  expect(matcher.end).toHaveBeenCalledTimes(1);
  expect(node.numbers().sessions).toBe(0);
});

test("S5: a client that is gone before the store has denied its token leaves nothing", async () => {
  const { connect, node, resumes } = await start();
  const { drop } = connect(RESUME, { type: "ping" });
  drop();
  resumes[0]!.resolve(null);
  await settled();
  expect(node.numbers()).toMatchObject({ connections: 0, sessions: 0 });
});

test("S4: who has hung up takes nothing from elsewhere, and what an attempt without an answer has brought here ends", async () => {
  const { clock, connect, matcher, node, resumes } = await start();
  const { drop } = connect(RESUME);
  drop();
  for (let n = 0; n < 60; n += 1) {
    resumes[n]!.reject(new Error("away"));
    await settled();
    clock.move(500);
    await settled();
    expect(matcher.resume).toHaveBeenLastCalledWith(sessionIdOf(TOKEN), "n", true);
  }
  resumes[60]!.resolve(found("n"));
  await settled();
  expect(node.numbers()).toMatchObject({ connections: 0, sessions: 1 });
  clock.move(20_000);
  await settled();
  expect(matcher.end).toHaveBeenCalledOnce();
  expect(resumes).toHaveLength(61);
});

test("S4: what an attempt without an answer has brought here ends, also after its visitor went on with what was known", async () => {
  const { clock, connect, matcher, resumes } = await start();
  const { drop } = connect(RESUME);
  resumes[0]!.resolve(found());
  await settled();
  drop();
  const { socket, types } = connect(RESUME);
  resumes[1]!.reject(new Error("away"));
  await settled();
  expect(types()).toEqual(["welcome"]);
  expect(matcher.resume).toHaveBeenLastCalledWith(sessionIdOf(TOKEN), "n", true);
  resumes[2]!.resolve({ ...found()!, holder: { ...found()!.holder, epoch: 4 } });
  await settled();
  expect(socket.closed?.code).toBe(4402);
  clock.move(20_000);
  await settled();
  expect(matcher.end.mock.calls).toMatchObject([[{ epoch: 4 }]]);
});

test("S3: from where an attempt without an answer has brought a session is not known: every node is told", async () => {
  const broadcast = vi.fn(() => true);
  const { clock, connect, resumes } = await start({ link: { ...noLink("n"), broadcast } });
  connect(RESUME);
  resumes[0]!.reject(new Error("away"));
  await settled();
  clock.move(500);
  await settled();
  resumes[1]!.resolve(found("n"));
  await settled();
  expect(broadcast.mock.calls).toMatchObject([[{ kind: "takeover", epoch: 2 }]]);
});

test("what an attempt without an answer may have brought here is asked for no more once the node has ended", async () => {
  const { clock, connect, node, resumes } = await start();
  const { drop } = connect(RESUME);
  drop();
  resumes[0]!.reject(new Error("away"));
  await settled();
  clock.move(500);
  await settled();
  await node.drain(0);
  resumes[1]!.reject(new Error("away"));
  await settled();
  clock.move(500);
  await settled();
  expect(resumes).toHaveLength(2);
  expect(clock.pending).toBe(0);
});

test("M7: a ticket that was here all the time is filed again after that", async () => {
  const { connect, matcher, resumes } = await start();
  connect(RESUME);
  resumes[0]!.resolve(found());
  await settled();
  connect(RESUME, { type: "find", mode: "text" });
  resumes[1]!.reject(new Error("away"));
  await settled();
  matcher.find.mockClear();
  resumes[2]!.resolve(found("n"));
  await settled();
  expect(matcher.find).toHaveBeenCalledOnce();
});

test.each([
  ["in order", [0, 1]],
  ["the other way round", [1, 0]],
])("S3: of two that bring the same token the newer one has the session: answered %s", async (_how, order) => {
  const { connect, node, resumes } = await start();
  const [older, newer] = [connect(RESUME), connect(RESUME)];
  await settled();
  for (const [nth, n] of order.entries()) {
    resumes[n]!.resolve(found(nth === 0 ? "other" : "n"));
    await settled();
  }
  await settled();
  expect(newer.socket.closed).toBeUndefined();
  expect(newer.types()).toEqual(["welcome"]);
  newer.say({ type: "ping" });
  expect(newer.types()).toEqual(["pong"]);
  expect(older.socket.closed?.code).toBe(4503);
  expect(node.numbers()).toMatchObject({ connections: 1, sessions: 1 });
});

test("drain: a client that says hello meanwhile is sent away with 4400, and its session stays where it is", async () => {
  const { clock, connect, matcher, node } = await start();
  const { socket, say } = connect();
  const drained = node.drain(5_000);
  say(RESUME);
  expect(socket.closed?.code).toBe(4400);
  clock.move(5_000);
  await drained;
  expect(matcher.resume).not.toHaveBeenCalled();
  expect(matcher.retire).toHaveBeenCalledWith("n");
  expect(clock.pending).toBe(0);
});

test("drain: an answer that comes too late sets nothing off any more", async () => {
  const { clock, connect, matcher, node } = await start();
  const answer = Promise.withResolvers<never>();
  matcher.find.mockReturnValueOnce(answer.promise);
  connect(HELLO, { type: "find", mode: "text" });
  await settled();
  await node.drain(0);
  answer.reject(new Error("away"));
  await settled();
  expect(clock.pending).toBe(0);
  expect(matcher.absent).not.toHaveBeenCalled();
});

/** A visitor in the pair `p` with somebody on node `b`, and over which links there is a way. */
async function pairedOver(more: Partial<NodeParts> = {}) {
  const down = new Set(["other"]);
  const signals: string[] = [];
  const send = (to: string, envelope: Envelope): boolean => {
    if (down.has(to)) return false;
    if (envelope.kind === "note" && envelope.note.type === "signal") signals.push(to);
    return true;
  };
  const peers = () => [{ node: "b", endpoint: "", why: "", state: down.has("b") ? "lost" : "up" } as const];
  const party = await start({ link: { ...noLink("n"), send, peers }, ...more });
  const partner = { session: "s", node: "b", epoch: 1 };
  const common = { interests: [] };
  const match = { pair: "p", mode: "text", role: "offerer", partner, common } as const;
  const visitor = party.connect(RESUME);
  party.resumes[0]!.resolve({ ...found()!, resumed: { state: "paired", match } });
  await settled();
  party.matcher.restore.mockClear();
  return { ...party, visitor, down, signals };
}

test("a pair over a link that is down asks the store how it stands, at once and again and again", async () => {
  const { node, clock, down, matcher, visitor } = await pairedOver();
  down.add("b");
  node.onPeer("b", false);
  await settled();
  expect(matcher.restore).toHaveBeenCalledOnce();
  clock.move(2_999);
  matcher.restore.mockResolvedValue({ restored: "over" });
  clock.move(1);
  await settled();
  expect(visitor.socket.take()).toContainEqual({ type: "ended", pair: "p", reason: "lost" });
  matcher.restore.mockClear();
  clock.move(10_000);
  await settled();
  expect(matcher.restore).not.toHaveBeenCalled();
});

test("a signal to a node that is not there any more makes the store be asked where the other side is", async () => {
  const { down, matcher, visitor, signals } = await pairedOver();
  down.add("b");
  matcher.restore.mockResolvedValue({ restored: "held", there: { node: "c", epoch: 2 } });
  visitor.say({ type: "signal", pair: "p", data: {} });
  await settled();
  expect(matcher.restore).toHaveBeenCalledOnce();
  expect(signals).toEqual(["c"]);
  visitor.say({ type: "signal", pair: "p", data: {} });
  expect(signals).toEqual(["c", "c"]);
});

test.each([
  ["is there", "b", 4503],
  ["has died meanwhile, from where the visitor may have come back", "gone", 4402],
])("S3: who is taken over by a node that %s", async (_, by, code) => {
  const { node, visitor } = await pairedOver();
  await settled();
  node.onEnvelope(by, { kind: "takeover", session: sessionIdOf(TOKEN), epoch: 3 });
  expect(visitor.socket.closed?.code).toBe(code);
});

test("S3: a session, whose other side may have moved or left unheard, is held against the store once a minute", async () => {
  const { clock, matcher, visitor, signals } = await pairedOver();
  const aMinutePasses = async (): Promise<void> => {
    matcher.restore.mockClear();
    for (let n = 0; n < 6; n += 1) {
      clock.move(10_000);
      visitor.pong();
      await settled();
    }
  };
  matcher.restore.mockResolvedValue({ restored: "held", there: { node: "c", epoch: 2 } });
  await aMinutePasses();
  expect(matcher.restore.mock.calls).toMatchObject([[{ session: sessionIdOf(TOKEN) }, { pair: "p" }]]);
  visitor.say({ type: "signal", pair: "p", data: {} });
  expect(signals).toEqual(["c"]);

  matcher.renew.mockRejectedValue(new Error("away"));
  clock.move(1_000);
  await settled();
  await aMinutePasses();
  expect(matcher.restore).not.toHaveBeenCalled();
});

test("a store that is away is not asked about sessions: what a visitor wants next would have to wait for that", async () => {
  const { clock, matcher } = await pairedOver({ store: { ready: false } });
  clock.move(2_000);
  await settled();
  expect(matcher.restore).not.toHaveBeenCalled();
});

test("M2: a claim that comes when the lease may have run out is refused, and the store asked how things stand", async () => {
  const sent: unknown[] = [];
  const send = (_to: string, envelope: Envelope) => sent.push(envelope) > 0;
  const party = await start({ link: { ...noLink("n"), send } });
  const visitor = party.connect(RESUME);
  const wish = { mode: "text", interests: [], languages: [], strict: false } as const;
  party.resumes[0]!.resolve({ ...found()!, resumed: { state: "waiting", wish, since: 1 } });
  await settled();
  party.matcher.renew.mockRejectedValue(new Error("away"));
  party.clock.move(6_000);
  visitor.types();
  sent.splice(0);
  party.matcher.find.mockClear();
  const session = sessionIdOf(TOKEN);
  const common = { interests: [] };
  const note = { type: "matched", pair: "p", mode: "text", role: "answerer", common, epoch: 1 } as const;
  party.node.onEnvelope("b", { kind: "note", to: session, from: "s", note });
  await settled();
  expect(sent).toEqual([{ kind: "note", to: "s", from: session, note: { type: "refused", pair: "p" } }]);
  expect(visitor.types()).toEqual([]);
  expect(party.matcher.find).toHaveBeenCalledOnce();
});

describe("the servers for calls", () => {
  const PAIR = "p".repeat(22);
  const iceServers = (messages: ServerMessage[]) =>
    messages.flatMap((message) =>
      message.type === "welcome" || message.type === "ice" ? [message.iceServers] : [],
    );

  test("are given by how the visitor came, and anew within the time that they are good for", async () => {
    let asked = 0;
    const came = { host: "chat.example", proxied: false, lan: false };
    const ice: Ice = {
      policy: "all",
      servers: (session, by) => [
        { urls: `turn:${by?.host}`, username: `${(asked += 1)} ${session.length > 0}` },
      ],
      renewEvery: 3_600_000,
    };
    const { clock, node } = await start({ ice });
    const socket = new FakeSocket();
    const connection = node.accept(socket, undefined, came);
    const stranger = new FakeSocket();
    node.accept(stranger, undefined);
    connection.onFrame(Buffer.from(JSON.stringify(HELLO)), false);
    expect(iceServers(socket.take())).toEqual([[{ urls: "turn:chat.example", username: "1 true" }]]);
    for (let minute = 0; minute < 60; minute += 1) {
      clock.move(60_000);
      connection.onPong();
    }
    expect(iceServers(socket.take())).toEqual([[{ urls: "turn:chat.example", username: "2 true" }]]);
    expect(iceServers(stranger.take())).toEqual([]);
    connection.onSocketClosed();
    clock.move(3_600_000);
    expect(asked).toBe(2);
  });

  test("are given anew when they have moved", async () => {
    let relay = "10.0.0.1";
    const ice: Ice = {
      policy: "all",
      servers: () => [{ urls: `turn:${relay}` }],
      whereabouts: () => relay,
    };
    const { clock, node } = await start({ ice });
    const socket = new FakeSocket();
    const connection = node.accept(socket, undefined);
    connection.onFrame(Buffer.from(JSON.stringify(HELLO)), false);
    clock.move(16_000);
    expect(iceServers(socket.take())).toEqual([[{ urls: "turn:10.0.0.1" }]]);
    connection.onPong();
    relay = "10.0.0.2";
    clock.move(16_000);
    expect(iceServers(socket.take())).toEqual([[{ urls: "turn:10.0.0.2" }]]);
  });

  test("S6: what a visitor who hides says is passed on without his address, and what others say as it came", async () => {
    const offered: (string | undefined)[] = [];
    const mine = "candidate:1 1 udp 1 192.168.1.7 5 typ host";
    const { connect, matcher } = await start();
    matcher.find.mockImplementation(async () => {
      const match = { pair: PAIR, mode: "text", role: "offerer", common: { interests: [] } };
      const partner = { session: bertsId, node: "n" };
      return {
        kind: "matched",
        match: { ...match, partner },
        waited: 0,
        partnerWaited: 0,
        relaxed: [],
        passed: {},
      } as never;
    });
    const bert = connect(HELLO);
    const bertsId = sessionIdOf((bert.socket.take()[0] as Welcome).resume);
    matcher.find.mockImplementationOnce(async () => waitingFor() as never);
    bert.say({ type: "find", mode: "text" });
    await settled();
    const anna = connect(HELLO, { type: "find", mode: "text", offer: `v=0\r\na=${mine}\r\n`, relay: true });
    await settled();
    const heard = bert.socket.take();
    for (const message of heard) if (message.type === "matched") offered.push(message.offer);
    expect(offered).toEqual(["v=0\r\n"]);
    await settled();
    const data = { candidates: [{ candidate: mine }], generation: 1 };
    anna.say({ type: "signal", pair: PAIR, data, relay: true });
    anna.say({ type: "signal", pair: PAIR, data: { restart: "ice", at: "192.168.1.7" }, relay: true });
    anna.say({ type: "signal", pair: PAIR, data });
    await settled();
    expect(bert.socket.take()).toEqual([
      { type: "signal", pair: PAIR, data: { restart: "ice", at: "0.0.0.0" } },
      { type: "signal", pair: PAIR, data },
    ]);
  });

  test("S6: the operator's rule holds for all", async () => {
    const { connect } = await start({ ice: { policy: "relay", servers: () => [] } });
    const { say, socket } = connect(HELLO);
    expect((socket.take()[0] as Welcome).iceTransportPolicy).toBe("relay");
    // In no pair: what is left of it is answered so, and what is not passed on is not looked at further.
    say({ type: "signal", pair: PAIR, data: { candidate: "candidate:1 1 udp 1 192.168.1.7 5 typ host" } });
    say({ type: "signal", pair: PAIR, data: { restart: "ice" } });
    expect(socket.take().map(({ type }) => type)).toEqual(["error"]);
  });
});

const waitingFor = () => ({ kind: "waiting", since: 1, relaxed: [], retryIn: 30_000, passed: {} });
