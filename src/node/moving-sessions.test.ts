/** S2: what is said to and by a session while it moves from node to node, at one of these nodes. */
import { expect, test } from "vitest";
import type { Envelope } from "../links/link.ts";
import { noLink } from "../links/no-link.ts";
import { sessionIdOf } from "../session/resume-token.ts";
import type { FakeSocket } from "./fake-socket.ts";
import type { Node } from "./node.ts";
import { found, pairedAcross, RESUME, type Resumed, settled, start, TOKEN } from "./test-node.ts";

const taken = (epoch: number, previousNode: string, match: object): Resumed =>
  ({
    holder: { session: sessionIdOf(TOKEN), node: "n", epoch, device: "d" },
    previousNode,
    resumed: { state: "paired", match },
  }) as Resumed;
const rawOf = (n: number) => Buffer.from(JSON.stringify({ type: "signal", pair: "p", data: { n } }));
const heard = (socket: FakeSocket) =>
  socket.take().flatMap((message) => (message.type === "signal" ? [(message.data as { n: number }).n] : []));
const toEpoch = (node: Node, epoch: number, n: number) =>
  node.onEnvelope("b", {
    kind: "note",
    to: sessionIdOf(TOKEN),
    from: "s",
    note: { type: "signal", pair: "p", epoch, raw: rawOf(n) },
  });

test("S2: signals to a session whose node is gone are kept until it is known where it went, in order", async () => {
  const { up, sent, moved, signal } = await pairedAcross();
  signal(1);
  up.delete("b");
  signal(2);
  signal(3);
  moved("c");
  signal(4);
  expect(sent).toEqual([
    ["b", { n: 1 }],
    ["c", { n: 2 }],
    ["c", { n: 3 }],
    ["c", { n: 4 }],
  ]);
});

test("S2: signals are kept while the link with the other node is down, and go on when it is up again", async () => {
  const { node, up, sent, signal } = await pairedAcross();
  up.delete("b");
  signal(1);
  signal(2);
  up.add("b");
  node.onPeer("b", true);
  expect(sent).toEqual([
    ["b", { n: 1 }],
    ["b", { n: 2 }],
  ]);
  up.delete("b");
  signal(3);
  up.add("b");
  signal(4);
  expect(sent.slice(2)).toEqual([
    ["b", { n: 3 }],
    ["b", { n: 4 }],
  ]);
});

test("S2: at most 64 signals are kept for a session whose node is gone, and none beyond its pair", async () => {
  const { up, sent, moved, signal, visitor } = await pairedAcross();
  up.delete("b");
  for (let n = 0; n < 100; n += 1) signal(n);
  moved("c");
  expect(sent.map(([, data]) => data)).toEqual(Array.from({ length: 64 }, (_, n) => ({ n })));
  up.delete("c");
  signal(100);
  visitor.say({ type: "leave" });
  await settled();
  moved("c");
  expect(sent).toHaveLength(64);
});

test("S2: what could not be sent goes with the session to the node that takes it over", async () => {
  const handed: Envelope[] = [];
  const { node, up, signal, sent } = await pairedAcross({ handed });
  signal(1);
  up.delete("b");
  signal(2);
  signal(3);
  up.add("c");
  node.onEnvelope("c", { kind: "takeover", session: sessionIdOf(TOKEN), epoch: 3 });
  expect(sent).toEqual([["b", { n: 1 }]]);
  const frames = [2, 3].map((n) => Buffer.from(JSON.stringify({ type: "signal", pair: "p", data: { n } })));
  expect(handed).toEqual([
    {
      kind: "stranded",
      session: sessionIdOf(TOKEN),
      epoch: 3,
      said: 2,
      pair: "p",
      frames,
    },
  ]);
});

test("S2: the node that takes a session over hears that this was all once the other side has heard of that", async () => {
  const handed: Envelope[] = [];
  const { node, up } = await pairedAcross({ handed });
  const session = sessionIdOf(TOKEN);
  up.add("c");
  node.onEnvelope("c", { kind: "takeover", session, epoch: 3 });
  expect(handed).toEqual([]);
  const note = { type: "last", pair: "p", epoch: 2 } as const;
  node.onEnvelope("b", { kind: "note", to: session, from: "s", note });
  expect(handed).toEqual([{ kind: "held", session, epoch: 3, pair: "p", frames: [] }]);
});

test("S2: who is back before it is heard that another node had the session misses nothing of either side", async () => {
  const handed: Envelope[] = [];
  const { node, connect, resumes, match, visitor, up, signal, sent } = await pairedAcross({ handed });
  const session = sessionIdOf(TOKEN);
  up.delete("b");
  signal(1);
  up.add("b").add("other");
  visitor.drop();
  const raw = Buffer.from(JSON.stringify({ type: "signal", pair: "p", data: { n: 7 } }));
  node.onEnvelope("b", {
    kind: "note",
    to: session,
    from: "s",
    note: { type: "signal", pair: "p", epoch: 2, raw },
  });
  const back = connect(RESUME);
  const holder = { session, node: "n", epoch: 4, device: "d" };
  resumes[1]!.resolve({ holder, previousNode: "other", resumed: { state: "paired", match } });
  await settled();
  node.onEnvelope("other", { kind: "takeover", session, epoch: 3 });
  expect(handed).toEqual([{ kind: "held", session, epoch: 3, pair: "p", frames: [raw] }]);
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [raw] });
  expect(back.socket.take()).toContainEqual({ type: "signal", pair: "p", data: { n: 7 } });
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [] });
  expect(sent).toEqual([["b", { n: 1 }]]);
});

test("S2: what could not be sent where the session was goes out before what is said after the move", async () => {
  const { node, sent, signal } = await pairedAcross({ up: ["b", "other"] });
  const session = sessionIdOf(TOKEN);
  const frames = [1, 2].map((n) => Buffer.from(JSON.stringify({ data: { n } })));
  signal(3);
  node.onEnvelope("other", { kind: "stranded", session, epoch: 2, said: 1, pair: "p", frames });
  node.onEnvelope("other", { kind: "stranded", session, epoch: 2, said: 1, pair: "a pair before", frames });
  expect(sent).toEqual([]);
  node.onEnvelope("other", { kind: "held", session, epoch: 2, pair: "p", frames: [] });
  signal(4);
  expect(sent).toEqual([1, 2, 3, 4].map((n) => ["b", { n }]));
});

test("S2: what is said after a move to somebody who cannot be reached makes the store be asked where that is", async () => {
  const { clock, matcher, up, sent, signal } = await pairedAcross({ up: ["other"] });
  signal(1);
  matcher.restore.mockClear();
  matcher.restore.mockResolvedValue({ restored: "held", there: { node: "c", epoch: 2 } });
  up.add("c");
  clock.move(500);
  await settled();
  expect(sent).toEqual([["c", { n: 1 }]]);
});

test("S2: what is said after a move goes out soon, whether or not the node where the session was answers", async () => {
  const { clock, matcher, sent, signal } = await pairedAcross({ up: ["b", "other"] });
  matcher.restore.mockClear();
  signal(1);
  clock.move(500);
  expect(sent).toEqual([["b", { n: 1 }]]);
  expect(matcher.restore).not.toHaveBeenCalled();
});

test("S2: what could not be sent goes out also for who is back before it is heard that another node had the session", async () => {
  const { connect, resumes, match, visitor, up, signal, sent, node } = await pairedAcross();
  const session = sessionIdOf(TOKEN);
  up.delete("b");
  signal(1);
  visitor.drop();
  connect(RESUME);
  const holder = { session, node: "n", epoch: 4, device: "d" };
  resumes[1]!.resolve({ holder, previousNode: "other", resumed: { state: "paired", match } });
  await settled();
  up.add("b");
  node.onPeer("b", true);
  await settled();
  expect(sent).toEqual([["b", { n: 1 }]]);
});

test("S2: what could not be sent follows a session that has gone on", async () => {
  const handed: Envelope[] = [];
  const { node, up } = await pairedAcross({ handed, up: ["b", "other", "c"] });
  const session = sessionIdOf(TOKEN);
  up.add("c");
  node.onEnvelope("c", { kind: "takeover", session, epoch: 3 });
  const frames = [Buffer.from(JSON.stringify({ data: { n: 1 } }))];
  node.onEnvelope("other", { kind: "stranded", session, epoch: 2, said: 1, pair: "p", frames });
  expect(handed.filter(({ kind }) => kind === "stranded")).toHaveLength(1);
});

test("S2: a session that has gone on before the store has answered that it came is waited for, and goes on", async () => {
  const handed: Envelope[] = [];
  const { node, up, connect, resumes, match, visitor } = await pairedAcross({
    handed,
    up: ["b", "other", "c"],
  });
  const session = sessionIdOf(TOKEN);
  up.add("other").add("c");
  visitor.drop();
  node.onEnvelope("other", { kind: "takeover", session, epoch: 3 }); // it went from n/2 to other/3
  handed.splice(0);
  const back = connect(RESUME); // back to n/4
  await settled();
  node.onEnvelope("c", { kind: "takeover", session, epoch: 5 }); // and on to c/5, which is heard of first
  expect(handed).toEqual([]); // that this was all cannot be said yet
  const holder = { session, node: "n", epoch: 4, device: "d" };
  resumes[1]!.resolve({ holder, previousNode: "other", resumed: { state: "paired", match } });
  await settled();
  const raw = Buffer.from(JSON.stringify({ type: "signal", pair: "p", data: { n: 7 } }));
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [raw] });
  expect(handed).toEqual([{ kind: "held", session, epoch: 5, pair: "p", frames: [raw] }]);
  expect([back.types(), back.socket.closed?.code]).toEqual([[], 4503]);
});

test("S2: a signal that is here before the store has answered that its session came waits for that", async () => {
  const { node, connect, resumes, match, visitor } = await pairedAcross({ up: ["b", "other", "c"] });
  const session = sessionIdOf(TOKEN);
  visitor.drop();
  node.onEnvelope("other", { kind: "takeover", session, epoch: 3 });
  const back = connect(RESUME);
  await settled();
  const raw = Buffer.from(JSON.stringify({ type: "signal", pair: "p", data: { n: 7 } }));
  node.onEnvelope("b", {
    kind: "note",
    to: session,
    from: "s",
    note: { type: "signal", pair: "p", epoch: 4, raw },
  });
  const holder = { session, node: "n", epoch: 4, device: "d" };
  resumes[1]!.resolve({ holder, previousNode: "other", resumed: { state: "paired", match } });
  await settled();
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [] });
  expect(back.socket.take()).toContainEqual({ type: "signal", pair: "p", data: { n: 7 } });
});

test("S3: a session that is here by an attempt whose answer was lost is taken over from wherever it was", async () => {
  const told: unknown[] = [];
  const send = (_node: string, envelope: Envelope) => (told.push(envelope), true);
  const broadcast = (envelope: Envelope) => (told.push(envelope), true);
  const { connect, resumes } = await start({ link: { ...noLink("n"), send, broadcast } });
  const one = connect(RESUME);
  resumes[0]!.reject(new Error("lost"));
  await settled();
  one.drop();
  connect(RESUME);
  resumes[1]!.resolve(found("n")); // the store: it is yours already
  await settled();
  expect(told).toContainEqual({ kind: "takeover", session: sessionIdOf(TOKEN), epoch: 2 });
});

test("a store that has lost moves counts where nothing was heard since it was asked", async () => {
  const { matcher, up, sent, signal, moved } = await pairedAcross();
  moved("b7");
  await settled();
  up.add("c");
  // Redis failed over: the session, whose node is gone as well, is at c with epoch 2, and not at b8 with 3.
  matcher.restore.mockResolvedValue({ restored: "held", there: { node: "c", epoch: 2 } });
  moved("b8");
  await settled();
  signal(1);
  expect(sent.at(-1)).toEqual(["c", { n: 1 }]);
});

test("S2: what could not be sent in one stay after the other goes out in that order", async () => {
  const { connect, resumes, match, visitor, up, signal, sent, node } = await pairedAcross();
  const session = sessionIdOf(TOKEN);
  up.delete("b");
  signal(1); // in n/2
  visitor.drop();
  up.add("other");
  connect(RESUME);
  const holder = { session, node: "n", epoch: 4, device: "d" };
  resumes[1]!.resolve({ holder, previousNode: "other", resumed: { state: "paired", match } });
  await settled();
  up.add("b");
  const frames = [Buffer.from(JSON.stringify({ data: { n: 2 } }))]; // in other/3
  node.onEnvelope("other", { kind: "stranded", session, epoch: 4, said: 3, pair: "p", frames });
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [] });
  expect(sent).toEqual([
    ["b", { n: 1 }],
    ["b", { n: 2 }],
  ]);
});

test("S3: a takeover that came late, and is heard before our own answer, leaves it open which connection is the newer one", async () => {
  const { node, up, connect, resumes, match, visitor } = await pairedAcross({ up: ["b", "other", "c"] });
  const session = sessionIdOf(TOKEN);
  up.add("other").add("c");
  visitor.drop();
  node.onEnvelope("other", { kind: "takeover", session, epoch: 3 });
  const back = connect(RESUME);
  await settled();
  node.onEnvelope("c", { kind: "takeover", session, epoch: 5, late: true });
  resumes[1]!.resolve(taken(4, "other", match));
  await settled();
  expect(back.socket.closed?.code).toBe(4402);
});

test("S2: what is newer waits also where every node is asked", async () => {
  const { node, clock, connect, resumes, match, visitor } = await pairedAcross({ up: ["b", "other"] });
  const session = sessionIdOf(TOKEN);
  visitor.drop();
  node.onEnvelope("other", { kind: "takeover", session, epoch: 3 });
  const back = connect(RESUME);
  resumes[1]!.reject(new Error("lost"));
  await settled();
  clock.move(500);
  await settled();
  resumes[2]!.resolve(taken(4, "n", match));
  await settled();
  toEpoch(node, 4, 2);
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [rawOf(1)] });
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [] });
  expect(heard(back.socket)).toEqual([1, 2]);
});

test("S2: a signal that is here before the session waits until the store answers, also at the second time", async () => {
  const { node, clock, connect, resumes, match, visitor } = await pairedAcross({ up: ["b", "other"] });
  const session = sessionIdOf(TOKEN);
  visitor.drop();
  node.onEnvelope("other", { kind: "takeover", session, epoch: 3 });
  const back = connect(RESUME);
  await settled();
  toEpoch(node, 4, 1); // the other side, which has moved at the same time, knows from the store
  resumes[1]!.reject(new Error("lost"));
  await settled();
  clock.move(500);
  await settled();
  resumes[2]!.resolve(taken(4, "n", match));
  await settled();
  clock.move(500);
  await settled();
  expect(heard(back.socket)).toEqual([1]);
});

test("S2: what could not be sent does not go to a node that is gone, from where the session is back", async () => {
  const { node, up, connect, resumes, match, visitor, sent } = await pairedAcross({ up: ["b", "other"] });
  const session = sessionIdOf(TOKEN);
  visitor.drop();
  node.onEnvelope("other", { kind: "held", session, epoch: 2, pair: "p", frames: [] });
  node.onEnvelope("x", { kind: "takeover", session, epoch: 3 }); // n/2 -> x/3, which dies
  connect(RESUME);
  resumes[1]!.resolve(taken(4, "x", match));
  await settled();
  node.onEnvelope("other", { kind: "stranded", session, epoch: 2, said: 1, pair: "p", frames: [rawOf(1)] });
  up.add("b");
  expect(sent).toEqual([["b", { n: 1 }]]);
});

test("S2: what comes late does not go to a node that is gone, from where the session is back", async () => {
  const { node, connect, resumes, match, visitor } = await pairedAcross({ up: ["b", "other"] });
  const session = sessionIdOf(TOKEN);
  visitor.drop();
  node.onEnvelope("other", { kind: "held", session, epoch: 2, pair: "p", frames: [] });
  node.onEnvelope("x", { kind: "takeover", session, epoch: 3 }); // n/2 -> x/3, which dies
  const back = connect(RESUME);
  resumes[1]!.resolve(taken(4, "x", match));
  await settled();
  toEpoch(node, 2, 1); // late: the other side never heard of x
  expect(heard(back.socket)).toEqual([1]);
});

test("S2: a session that was ending, and is back, is given signals at once", async () => {
  const { node, clock, connect, resumes, match, visitor, matcher } = await pairedAcross({
    up: ["b", "other"],
  });
  const session = sessionIdOf(TOKEN);
  node.onEnvelope("other", { kind: "held", session, epoch: 2, pair: "p", frames: [] });
  visitor.drop();
  clock.move(1000);
  await settled();
  matcher.end.mockImplementation(() => new Promise(() => {}));
  clock.move(19_000);
  await settled();
  const back = connect(RESUME);
  resumes[1]!.resolve(taken(2, "n", match));
  await settled();
  toEpoch(node, 2, 1);
  expect(heard(back.socket)).toEqual([1]);
});

test("S2: what could not be sent follows a session that has gone on before the store has answered that it came", async () => {
  const handed: Envelope[] = [];
  const { node, up, connect, resumes, match, visitor } = await pairedAcross({
    handed,
    up: ["b", "other", "c"],
  });
  const session = sessionIdOf(TOKEN);
  node.onEnvelope("other", { kind: "held", session, epoch: 2, pair: "p", frames: [] });
  up.delete("b");
  visitor.drop();
  connect(RESUME); // to n/4
  await settled();
  node.onEnvelope("c", { kind: "takeover", session, epoch: 7 });
  handed.splice(0);
  connect(RESUME); // to n/6
  await settled();
  resumes[1]!.resolve(taken(4, "other", match));
  await settled();
  node.onEnvelope("other", { kind: "stranded", session, epoch: 4, said: 3, pair: "p", frames: [rawOf(1)] });
  resumes[2]!.resolve(taken(6, "other", match));
  await settled();
  expect(handed).toContainEqual({
    kind: "stranded",
    session,
    epoch: 7,
    said: 3,
    pair: "p",
    frames: [rawOf(1)],
  });
});

test("S2: a session that was ending, is back and moves leaves what was held before the word that this was all", async () => {
  const handed: Envelope[] = [];
  const { node, clock, up, connect, resumes, match, visitor, matcher } = await pairedAcross({
    handed,
    up: ["b", "other"],
  });
  const session = sessionIdOf(TOKEN);
  visitor.drop();
  clock.move(1000);
  await settled();
  matcher.end.mockImplementation(() => Promise.reject(new Error("away")));
  clock.move(19_000);
  await settled();
  const back = connect(RESUME);
  resumes[1]!.resolve(taken(2, "n", match));
  await settled();
  expect(back.types()).toContain("welcome");
  clock.move(1000);
  await settled();
  back.drop();
  toEpoch(node, 2, 1);
  handed.splice(0);
  up.add("c");
  node.onEnvelope("c", { kind: "takeover", session, epoch: 3 });
  expect(handed).toEqual([{ kind: "held", session, epoch: 3, pair: "p", frames: [rawOf(1)] }]);
});

test("S2: what is older and still follows is given in order, also long after that stay was first heard of", async () => {
  const { node, clock, connect, resumes, match, visitor } = await pairedAcross({ up: ["b", "other"] });
  const session = sessionIdOf(TOKEN);
  visitor.drop();
  node.onEnvelope("other", { kind: "takeover", session, epoch: 3 });
  const back = connect(RESUME);
  await settled();
  toEpoch(node, 4, 2);
  clock.move(9_900);
  await settled();
  resumes[1]!.resolve(taken(4, "other", match));
  await settled();
  clock.move(200);
  toEpoch(node, 4, 3);
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [rawOf(1)] });
  node.onEnvelope("other", { kind: "held", session, epoch: 4, pair: "p", frames: [] });
  expect(heard(back.socket)).toEqual([1, 2, 3]);
});

test("S2: the first signals of a new pair do not wait for what was left of the one before", async () => {
  const { node, visitor, sent } = await pairedAcross({ up: ["b", "other"] });
  const session = sessionIdOf(TOKEN);
  const tell = (note: object) =>
    node.onEnvelope("b", { kind: "note", to: session, from: "s", note } as Envelope);
  tell({ type: "ended", pair: "p", reason: "left" });
  await settled();
  visitor.say({ type: "find", mode: "text" });
  await settled();
  tell({ type: "matched", pair: "q", mode: "text", role: "answerer", common: { interests: [] }, epoch: 1 });
  expect(visitor.types()).toContain("matched");
  tell({ type: "signal", pair: "q", epoch: 2, raw: rawOf(1) });
  visitor.say({ type: "signal", pair: "q", data: { n: 2 } });
  expect([heard(visitor.socket), sent]).toEqual([[1], [["b", { n: 2 }]]]);
});
