/** What a session does while its visitor has no connection, and when the visitor comes back. */
import { expect, test } from "vitest";
import {
  answerer,
  claimed,
  claimer,
  filed,
  idle,
  match,
  matched,
  offerer,
  Play,
  RULES,
  STRANGER,
  TEXT,
  VIDEO,
  waiting,
} from "./play.ts";
import { isEnding, restoredSession } from "./session.ts";

// Signals

test("S2: signals for an absent visitor are kept, at most 64, and come in order after the welcome", () => {
  const me = answerer().detaches();
  for (let i = 0; i < 64; i++) expect(me.signalled("p1", `${i}`).effects).toEqual([]);
  expect(me.signalled("p1", "too many").effects).toEqual([{ do: "count", what: "heldDropped" }]);
  me.attaches();
  const order = me.effects
    .map((effect) => effect.do)
    .filter((what) => what === "welcome" || what === "relay");
  expect(order[0]).toBe("welcome");
  expect(me.relayed).toEqual(Array.from({ length: 64 }, (_, i) => `${i}`));
  expect(me.signalled("p1", "live").relayed).toEqual(["live"]);
});

test("S2: … and at most 256 KiB of them", () => {
  const me = answerer().detaches();
  const [large, rest] = ["x".repeat(100_000), "x".repeat(256 * 1024 - 200_000)];
  for (const data of [large, large]) expect(me.signalled("p1", data).effects).toEqual([]);
  expect(me.signalled("p1", `${rest}x`).effects).toEqual([{ do: "count", what: "heldDropped" }]);
  expect(me.signalled("p1", rest).effects).toEqual([]);
  me.attaches();
  expect(me.relayed).toEqual([large, large, rest]);
});

test("S2: what was held is delivered once", () => {
  const me = answerer().detaches().signalled("p1", "once").attaches();
  expect(me.relayed).toEqual(["once"]);
  expect(me.detaches().attaches().relayed).toEqual([]);
});

test("S2: what was held of a pair that ended meanwhile is not delivered", () => {
  const me = answerer()
    .detaches()
    .signalled("p1", "old")
    .hears({ type: "ended", pair: "p1", reason: "left" });
  me.attaches();
  expect(me.relayed).toEqual([]);
  expect(me.state.name).toBe("idle");
});

test("S1: what was held of a match that was undone meanwhile is not delivered", () => {
  const me = claimer().detaches().signalled("p1", "early").due("confirm").outcome(filed(500)).attaches();
  expect(me.state.name).toBe("waiting");
  expect(me.relayed).toEqual([]);
});

test("S2: the other side is not told of an absence, and the pair goes on", () => {
  const me = answerer().detaches();
  expect(me.told).toEqual([]);
  expect(me.calls).toEqual([]);
  expect(me.attaches().state).toMatchObject({ name: "paired", match: { pair: "p1" } });
  expect(me.timers.has("grace")).toBe(false);
});

// The ticket

test("S4: the ticket of an absent visitor leaves the pool, and comes back to its place", () => {
  const me = waiting().detaches();
  expect(me.calls).toEqual([{ name: "absent" }]);
  expect(me.timers.get("grace")).toBe(me.now + RULES.grace);
  expect(me.timers.has("retry")).toBe(false);
  me.answered({ name: "absent" }).attaches();
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT, since: 500 } }]);
  me.outcome(filed(500));
  expect(me.effects).toContainEqual({ do: "waiting", since: 500, relaxed: [] });
});

test("S4: gone while a find is under way: the ticket that it files leaves the pool again", () => {
  const me = idle().finds().detaches().outcome(filed(500));
  expect(me.calls).toEqual([{ name: "absent" }]);
  expect(me.timers.has("retry")).toBe(false);
  me.answered({ name: "absent" }).attaches();
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT, since: 500 } }]);
});

test("gone and back while the store is slow: the ticket is where it was, nothing flutters", () => {
  const me = waiting().due("retry").detaches().attaches().detaches().attaches();
  me.outcome(filed(500));
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT, since: 500 } }]);
  me.outcome(filed(500));
  expect(me.calls).toEqual([]);
});

test("S4: a match undone while its visitor is absent puts no ticket of an absent one into the pool", () => {
  const me = claimer().detaches().due("confirm");
  expect(me.state.name).toBe("waiting");
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1" }]);
  me.outcome(filed(500));
  expect(me.calls).toEqual([{ name: "absent" }]);
  expect(me.attaches().session.queued).toMatchObject([{ name: "find", find: { since: 500 } }]);
});

test("a match undone while absent that is followed by another: that one is taken back too", () => {
  const me = claimer().detaches().hears({ type: "refused", pair: "p1" }).outcome(matched("p2"));
  expect(me.notes).toContainEqual({ type: "refused", pair: "p2" });
  expect(me.calls).toEqual([{ name: "absent" }]);
});

test("absent, a find that the store cannot do is not a reason to send anything", () => {
  const me = idle().finds().detaches().unanswered();
  expect(me.sent).toEqual([]);
});

test("a taken back claim is settled when the visitor comes back", () => {
  const me = waiting().detaches().answered({ name: "absent" }).claimed("p1");
  expect(me.notes).toEqual([{ type: "refused", pair: "p1" }]);
  me.attaches().outcome(claimed("p1"));
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1", find: { since: 500 } }]);
});

test("the end of the pair is said by the next welcome when nobody was there to hear it", () => {
  const me = answerer().detaches().hears({ type: "ended", pair: "p1", reason: "left" });
  expect(me.sent).toEqual([]);
  expect(me.attaches().state.name).toBe("idle");
});

test("S3: who comes back while the store is away asks it for everything, once it can; else for the ticket alone", () => {
  const back = (vouched: boolean): string[] => {
    const { session } = waiting().detaches().answered({ name: "absent" }).attaches(true, vouched);
    return [...(session.calling ? [session.calling] : []), ...session.queued].map(({ name }) => name);
  };
  expect([back(true), back(false)]).toEqual([["find"], ["restore", "find"]]);
});

// The end of the grace

test("S4: a pair that the store says is over just when the grace ends does not keep the session", () => {
  const me = answerer().event({ type: "forgotten" }).detaches().due("grace");
  me.answered({ name: "restore", restored: "over" });
  expect(me.calls).toMatchObject([{ name: "end" }]);
  expect(me.answered({ name: "end" }).did("forget")).toBe(true);
});

test.each([
  ["idle", () => idle(), []],
  ["waiting", () => waiting(), []],
  ["in a pair", () => answerer(), [{ type: "ended", pair: "p1", reason: "lost" }]],
] as const)("S4: after the grace the session ends (%s)", (_, scene, notes) => {
  const me = scene().detaches();
  if (me.session.calling) me.answered({ name: "absent" });
  me.due("grace");
  expect(me.calls).toMatchObject([{ name: "end" }]);
  expect(isEnding(me.session)).toBe(true);
  me.answered({ name: "end", ...(notes.length > 0 && { left: { pair: "p1", partner: STRANGER } }) });
  expect(me.notes).toEqual(notes);
  expect(me.did("forget")).toBe(true);
});

test("S4: whatever was still to be asked is not asked after the grace", () => {
  const me = idle().finds().detaches().due("grace");
  expect(isEnding(me.session)).toBe(true);
  me.outcome(filed(500));
  expect(me.calls).toMatchObject([{ name: "end" }]);
  expect(me.answered({ name: "end" }).did("forget")).toBe(true);
});

test("S4: a match that the last find made is told off with `lost`", () => {
  const me = idle().finds().detaches().due("grace").outcome(matched("p1"));
  me.answered({ name: "end", left: { pair: "p1", partner: STRANGER } });
  expect(me.notes).toContainEqual({ type: "ended", pair: "p1", reason: "lost" });
});

test("M8: who is past the grace refuses every claim", () => {
  const me = waiting().detaches().due("grace").claimed("p1");
  expect(me.notes).toContainEqual({ type: "refused", pair: "p1" });
});

test("a connection in time stops the grace", () => {
  const me = idle().detaches().attaches();
  expect(me.timers.has("grace")).toBe(false);
});

// Taken over from another node

test("S3: a waiting session taken over is welcomed and takes its old place", () => {
  const me = new Play(
    restoredSession("me", "d", 2, { state: "waiting", wish: VIDEO, since: 300 }),
  ).attaches();
  expect(me.effects).toContainEqual({ do: "welcome", resumed: true });
  expect(me.calls).toEqual([{ name: "find", find: { wish: VIDEO, since: 300 } }]);
});

test("S3: a pair taken over goes on, and signals flow at once", () => {
  const me = new Play(restoredSession("me", "d", 2, { state: "paired", match: match("p1") })).attaches();
  expect(me.calls.filter(({ name }) => name === "find" || name === "undo")).toEqual([]);
  expect(me.says({ type: "signal", pair: "p1", data: {} }).told).toMatchObject([{ partner: STRANGER }]);
});

test("S3: the other side of a pair that has moved gets its signals at the new node", () => {
  const there = { session: "stranger", node: "n9", epoch: 2 };
  const me = answerer().claimed("p1", {}, there);
  expect(me.sent).toEqual([]);
  expect(me.says({ type: "signal", pair: "p1", data: {} }).told).toMatchObject([{ partner: there }]);
});

test("S2: where the other side of a pair was hears that it is told nothing there any more, once", () => {
  const there = { session: "stranger", node: "n9", epoch: 2 };
  const last = { partner: STRANGER, note: { type: "last", pair: "p1", epoch: 1 } };
  const me = answerer().claimed("p1", {}, there);
  expect(me.told).toContainEqual(last);
  expect(me.claimed("p1", {}, there).notes).not.toContainEqual(last.note);
  const other = answerer().event({ type: "forgotten" });
  other.answered({ name: "restore", restored: "held", there: { node: "n9", epoch: 2 } });
  expect(other.told).toContainEqual(last);
});

test("M2: who moves with a pair knows of it", () => {
  const me = claimer().claimed("p1", {}, { session: "stranger", node: "n9", epoch: 2 });
  expect(me.state).toMatchObject({ name: "paired", confirmed: true });
  expect(me.timers.has("confirm")).toBe(false);
});

test("a session that goes on elsewhere is closed here and forgotten", () => {
  for (const scene of [idle, waiting, offerer]) {
    const me = scene().event({ type: "superseded", late: false });
    expect(me.effects).toContainEqual({ do: "close", code: 4503 });
    expect(me.did("forget")).toBe(true);
    expect(me.calls).toEqual([]);
  }
  expect(waiting().detaches().event({ type: "superseded", late: false }).did("close")).toBe(false);
});

test("S3: a connection for which the store has not vouched is asked to connect again, not thrown out", () => {
  const me = answerer().detaches().attaches(true, false).event({ type: "superseded", late: false });
  expect(me.effects).toContainEqual({ do: "close", code: 4402 });
});

test("S3: a takeover that came late throws nobody out", () => {
  const me = answerer().event({ type: "superseded", late: true });
  expect(me.effects).toContainEqual({ do: "close", code: 4402 });
});

test("an answer to a question of a session that is gone changes nothing", () => {
  const me = idle()
    .finds()
    .event({ type: "superseded", late: false })
    .answered({ name: "find", outcome: matched("p1") });
  expect(me.effects).toEqual([]);
});
