/** S2: what is said to and by a session while it moves from node to node, at one of these nodes. */
import { expect, test } from "vitest";
import type { Envelope } from "../links/link.ts";
import { noLink } from "../links/no-link.ts";
import { sessionIdOf } from "../session/resume-token.ts";
import type { FakeSocket } from "./fake-socket.ts";
import { found, RESUME, settled, start, TOKEN } from "./test-node.ts";

/** What a visitor was told by the other side of the pair. */
const heard = ({ socket }: { socket: FakeSocket }): number[] =>
  socket.take().flatMap((message) => (message.type === "signal" ? [(message.data as { n: number }).n] : []));
const rawOf = (n: number) => Buffer.from(JSON.stringify({ type: "signal", pair: "p", data: { n } }));

/** A visitor in the pair `p` with somebody on node `b`, and what goes over the link to the nodes that are up. */
async function pairedAcross({ up: nodes = ["b"], handed = [] as Envelope[] } = {}) {
  const up = new Set(nodes);
  const sent: [node: string, data: unknown][] = [];
  const send = (node: string, envelope: Envelope): boolean => {
    if (!up.has(node)) return false;
    if (envelope.kind === "note" && envelope.note.type === "signal") {
      sent.push([node, JSON.parse(String(envelope.note.raw)).data]);
    } else if (envelope.kind === "stranded" || envelope.kind === "held") handed.push(envelope);
    return true;
  };
  const session = sessionIdOf(TOKEN);
  const party = await start({
    link: {
      ...noLink("n"),
      send,
      peers: () => [...up].map((node) => ({ node, endpoint: "", state: "up" as const, why: "" })),
    },
  });
  const common = { interests: [] };
  const match = {
    pair: "p",
    mode: "text",
    role: "offerer",
    partner: { session: "s", node: "b", epoch: 1 },
    common,
  } as const;
  const visitor = party.connect(RESUME);
  party.resumes[0]!.resolve({ ...found()!, resumed: { state: "paired", match } });
  await settled();
  let epoch = 1;
  const moved = (to: string): void => {
    up.add(to);
    const { partner: _from, ...ours } = match;
    epoch += 1;
    const note = { type: "matched", ...ours, epoch } as const;
    party.node.onEnvelope(to, { kind: "note", to: sessionIdOf(TOKEN), from: "s", note });
  };
  const signal = (n: number): void => visitor.say({ type: "signal", pair: "p", data: { n } });
  const note = { kind: "note", to: session, from: "s" } as const;
  return {
    ...party,
    session,
    visitor,
    up,
    sent,
    moved,
    signal,
    /** The store answers the visitor's `nth` resume: the session is here now, with that epoch. */
    async answered(nth: number, epoch: number, previousNode: string): Promise<void> {
      const holder = { session, node: "n", epoch, device: "d" };
      party.resumes[nth]!.resolve({ holder, previousNode, resumed: { state: "paired", match } });
      await settled();
    },
    takes: (by: string, epoch: number, late = false) =>
      party.node.onEnvelope(by, { kind: "takeover", session, epoch, ...(late && { late }) }),
    /** What node "other" held, or had yet to hear, of the session that is here since that epoch; nothing: that was all. */
    follow: (epoch: number, ...signals: number[]) =>
      party.node.onEnvelope("other", { kind: "held", session, epoch, pair: "p", frames: signals.map(rawOf) }),
    /** What the visitor said there, in the stay `said`, and could not be sent. */
    strand: (epoch: number, said: number, ...signals: number[]) =>
      party.node.onEnvelope("other", {
        kind: "stranded",
        session,
        epoch,
        said,
        pair: "p",
        frames: signals.map(rawOf),
      }),
    /** From the other side, for that stay. */
    arrives: (epoch: number, n: number) =>
      party.node.onEnvelope("b", { ...note, note: { type: "signal", pair: "p", epoch, raw: rawOf(n) } }),
  };
}

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
  const { visitor, up, sent, moved, signal } = await pairedAcross();
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
  const { up, sent, signal, takes } = await pairedAcross({ handed });
  signal(1);
  up.delete("b");
  signal(2);
  signal(3);
  up.add("c");
  takes("c", 3);
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
  const { node, session, up, takes } = await pairedAcross({ handed });
  up.add("c");
  takes("c", 3);
  expect(handed).toEqual([]);
  const note = { type: "last", pair: "p", epoch: 2 } as const;
  node.onEnvelope("b", { kind: "note", to: session, from: "s", note });
  expect(handed).toEqual([{ kind: "held", session, epoch: 3, pair: "p", frames: [] }]);
});

test("S2: who is back before it is heard that another node had the session misses nothing of either side", async () => {
  const handed: Envelope[] = [];
  const { connect, session, visitor, up, sent, signal, answered, takes, follow, arrives } =
    await pairedAcross({ handed });
  up.delete("b");
  signal(1);
  up.add("b").add("other");
  visitor.drop();
  arrives(2, 7);
  const back = connect(RESUME);
  await answered(1, 4, "other");
  takes("other", 3);
  expect(handed).toEqual([{ kind: "held", session, epoch: 3, pair: "p", frames: [rawOf(7)] }]);
  follow(4, 7);
  expect(heard(back)).toEqual([7]);
  follow(4);
  expect(sent).toEqual([["b", { n: 1 }]]);
});

test("S2: what could not be sent where the session was goes out before what is said after the move", async () => {
  const { node, session, sent, signal, follow } = await pairedAcross({ up: ["b", "other"] });
  const frames = [1, 2].map((n) => Buffer.from(JSON.stringify({ data: { n } })));
  signal(3);
  node.onEnvelope("other", { kind: "stranded", session, epoch: 2, said: 1, pair: "p", frames });
  node.onEnvelope("other", { kind: "stranded", session, epoch: 2, said: 1, pair: "a pair before", frames });
  expect(sent).toEqual([]);
  follow(2);
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
  const { node, connect, visitor, up, sent, signal, answered } = await pairedAcross();
  up.delete("b");
  signal(1);
  visitor.drop();
  connect(RESUME);
  await answered(1, 4, "other");
  up.add("b");
  node.onPeer("b", true);
  await settled();
  expect(sent).toEqual([["b", { n: 1 }]]);
});

test("S2: what could not be sent follows a session that has gone on", async () => {
  const handed: Envelope[] = [];
  const { up, takes, strand } = await pairedAcross({ handed, up: ["b", "other", "c"] });
  up.add("c");
  takes("c", 3);
  strand(2, 1, 1);
  expect(handed.filter(({ kind }) => kind === "stranded")).toHaveLength(1);
});

test("S2: a session that has gone on before the store has answered that it came is waited for, and goes on", async () => {
  const handed: Envelope[] = [];
  const { connect, session, visitor, up, answered, takes, follow } = await pairedAcross({
    handed,
    up: ["b", "other", "c"],
  });
  up.add("other").add("c");
  visitor.drop();
  takes("other", 3); // it went from n/2 to other/3
  handed.splice(0);
  const back = connect(RESUME); // back to n/4
  await settled();
  takes("c", 5); // and on to c/5, which is heard of first
  expect(handed).toEqual([]); // that this was all cannot be said yet
  await answered(1, 4, "other");
  follow(4, 7);
  expect(handed).toEqual([{ kind: "held", session, epoch: 5, pair: "p", frames: [rawOf(7)] }]);
  expect([back.types(), back.socket.closed?.code]).toEqual([[], 4503]);
});

test("S2: a signal that is here before the store has answered that its session came waits for that", async () => {
  const { connect, visitor, answered, takes, follow, arrives } = await pairedAcross({
    up: ["b", "other", "c"],
  });
  visitor.drop();
  takes("other", 3);
  const back = connect(RESUME);
  await settled();
  arrives(4, 7);
  await answered(1, 4, "other");
  follow(4);
  expect(heard(back)).toEqual([7]);
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
  const { matcher, up, sent, moved, signal } = await pairedAcross();
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
  const { connect, visitor, up, sent, signal, answered, follow, strand } = await pairedAcross();
  up.delete("b");
  signal(1); // in n/2
  visitor.drop();
  up.add("other");
  connect(RESUME);
  await answered(1, 4, "other");
  up.add("b");
  strand(4, 3, 2); // in other/3
  follow(4);
  expect(sent).toEqual([
    ["b", { n: 1 }],
    ["b", { n: 2 }],
  ]);
});

test("S3: a takeover that came late, and is heard before our own answer, leaves it open which connection is the newer one", async () => {
  const { connect, visitor, up, answered, takes } = await pairedAcross({ up: ["b", "other", "c"] });
  up.add("other").add("c");
  visitor.drop();
  takes("other", 3);
  const back = connect(RESUME);
  await settled();
  takes("c", 5, true);
  await answered(1, 4, "other");
  expect(back.socket.closed?.code).toBe(4402);
});

test("S2: what is newer waits also where every node is asked", async () => {
  const { clock, resumes, connect, visitor, answered, takes, follow, arrives } = await pairedAcross({
    up: ["b", "other"],
  });
  visitor.drop();
  takes("other", 3);
  const back = connect(RESUME);
  resumes[1]!.reject(new Error("lost"));
  await settled();
  clock.move(500);
  await settled();
  await answered(2, 4, "n");
  arrives(4, 2);
  follow(4, 1);
  follow(4);
  expect(heard(back)).toEqual([1, 2]);
});

test("S2: a signal that is here before the session waits until the store answers, also at the second time", async () => {
  const { clock, resumes, connect, visitor, answered, takes, arrives } = await pairedAcross({
    up: ["b", "other"],
  });
  visitor.drop();
  takes("other", 3);
  const back = connect(RESUME);
  await settled();
  arrives(4, 1); // the other side, which has moved at the same time, knows from the store
  resumes[1]!.reject(new Error("lost"));
  await settled();
  clock.move(500);
  await settled();
  await answered(2, 4, "n");
  clock.move(500);
  await settled();
  expect(heard(back)).toEqual([1]);
});

test("S2: what could not be sent does not go to a node that is gone, from where the session is back", async () => {
  const { connect, visitor, up, sent, answered, takes, follow, strand } = await pairedAcross({
    up: ["b", "other"],
  });
  visitor.drop();
  follow(2);
  takes("x", 3); // n/2 -> x/3, which dies
  connect(RESUME);
  await answered(1, 4, "x");
  strand(2, 1, 1);
  up.add("b");
  expect(sent).toEqual([["b", { n: 1 }]]);
});

test("S2: what comes late does not go to a node that is gone, from where the session is back", async () => {
  const { connect, visitor, answered, takes, follow, arrives } = await pairedAcross({ up: ["b", "other"] });
  visitor.drop();
  follow(2);
  takes("x", 3); // n/2 -> x/3, which dies
  const back = connect(RESUME);
  await answered(1, 4, "x");
  arrives(2, 1); // late: the other side never heard of x
  expect(heard(back)).toEqual([1]);
});

test("S2: a session that was ending, and is back, is given signals at once", async () => {
  const { clock, matcher, connect, visitor, answered, follow, arrives } = await pairedAcross({
    up: ["b", "other"],
  });
  follow(2);
  visitor.drop();
  clock.move(1000);
  await settled();
  matcher.end.mockImplementation(() => new Promise(() => {}));
  clock.move(19_000);
  await settled();
  const back = connect(RESUME);
  await answered(1, 2, "n");
  arrives(2, 1);
  expect(heard(back)).toEqual([1]);
});

test("S2: what could not be sent follows a session that has gone on before the store has answered that it came", async () => {
  const handed: Envelope[] = [];
  const { connect, session, visitor, up, answered, takes, follow, strand } = await pairedAcross({
    handed,
    up: ["b", "other", "c"],
  });
  follow(2);
  up.delete("b");
  visitor.drop();
  connect(RESUME); // to n/4
  await settled();
  takes("c", 7);
  handed.splice(0);
  connect(RESUME); // to n/6
  await settled();
  await answered(1, 4, "other");
  strand(4, 3, 1);
  await answered(2, 6, "other");
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
  const { clock, matcher, connect, session, visitor, up, answered, takes, arrives } = await pairedAcross({
    handed,
    up: ["b", "other"],
  });
  visitor.drop();
  clock.move(1000);
  await settled();
  matcher.end.mockImplementation(() => Promise.reject(new Error("away")));
  clock.move(19_000);
  await settled();
  const back = connect(RESUME);
  await answered(1, 2, "n");
  expect(back.types()).toContain("welcome");
  clock.move(1000);
  await settled();
  back.drop();
  arrives(2, 1);
  handed.splice(0);
  up.add("c");
  takes("c", 3);
  expect(handed).toEqual([{ kind: "held", session, epoch: 3, pair: "p", frames: [rawOf(1)] }]);
});

test("S2: what is older and still follows is given in order, also long after that stay was first heard of", async () => {
  const { clock, connect, visitor, answered, takes, follow, arrives } = await pairedAcross({
    up: ["b", "other"],
  });
  visitor.drop();
  takes("other", 3);
  const back = connect(RESUME);
  await settled();
  arrives(4, 2);
  clock.move(9_900);
  await settled();
  await answered(1, 4, "other");
  clock.move(200);
  arrives(4, 3);
  follow(4, 1);
  follow(4);
  expect(heard(back)).toEqual([1, 2, 3]);
});

test("S2: the first signals of a new pair do not wait for what was left of the one before", async () => {
  const { node, session, visitor, sent } = await pairedAcross({ up: ["b", "other"] });
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
  expect([heard(visitor), sent]).toEqual([[1], [["b", { n: 2 }]]]);
});
