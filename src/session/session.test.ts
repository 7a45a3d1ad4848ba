import { expect, test } from "vitest";
import { REPORT_AFTER_END_MS } from "../protocol/limits.ts";
import {
  answerer,
  bytes,
  claimer,
  filed,
  idle,
  match,
  matched,
  offerer,
  Play,
  STRANGER,
  TEXT,
  VIDEO,
  waiting,
} from "./play.ts";
import { restoredSession } from "./session.ts";

// Opening

test("a fresh session is welcomed at once and recorded in the store", () => {
  const me = new Play().attaches(false);
  expect(me.effects).toContainEqual({ do: "welcome", resumed: false });
  expect(me.calls).toEqual([{ name: "open" }]);
});

test("a find waits until the session is recorded", () => {
  const me = new Play().attaches(false).finds();
  expect(me.calls).toEqual([]);
  me.answered({ name: "open" });
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT } }]);
});

test.each([idle, waiting, claimer, answerer])(
  "hello said twice is an error and changes nothing (%o)",
  (scene) => {
    const me = scene();
    const before = me.session;
    me.says({ type: "hello" });
    expect(me.sent).toMatchObject([{ type: "error", code: "invalid_message", field: "type" }]);
    expect(me.session).toEqual(before);
  },
);

test.each([idle, waiting, claimer, answerer])("ping is answered in every state (%o)", (scene) => {
  const me = scene();
  expect(me.says({ type: "ping", t: 7 }).effects).toEqual([{ do: "send", message: { type: "pong", t: 7 } }]);
  expect(me.says({ type: "ping" }).effects).toEqual([{ do: "send", message: { type: "pong" } }]);
});

// Find, Next, leave

test("find asks the store, says waiting once, and asks again when something gives way", () => {
  const me = idle().finds();
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT } }]);
  me.outcome(filed(500, { retryIn: 5_000 }));
  expect(me.effects).toContainEqual({ do: "waiting", since: 500, relaxed: [] });
  me.due("retry");
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT, since: 500 } }]);
  me.outcome(filed(500));
  expect(me.did("waiting")).toBe(false);
});

test("M6: waiting is said again when a preference is relaxed, and only then", () => {
  const me = waiting()
    .due("retry")
    .outcome(filed(500, { relaxed: ["interests"] }));
  expect(me.effects).toContainEqual({ do: "waiting", since: 500, relaxed: ["interests"] });
  me.due("retry").outcome(filed(500, { relaxed: ["interests"] }));
  expect(me.did("waiting")).toBe(false);
});

test("a change of mind while waiting changes the ticket, keeps its place, and is said", () => {
  const me = waiting().finds(VIDEO);
  expect(me.calls).toEqual([{ name: "find", find: { wish: VIDEO, since: 500 } }]);
  me.outcome(filed(500));
  expect(me.effects).toContainEqual({ do: "waiting", since: 500, relaxed: [] });
});

test("T7: a search for which the device has no place left is over, says so, and can begin again", () => {
  const me = idle().finds().outcome({ kind: "crowded" });
  expect(me.sent).toMatchObject([{ type: "error", code: "too_many_sessions", retryAfter: 10 }]);
  expect([me.state.name, me.calls]).toEqual(["idle", []]);
  expect(me.finds().calls).toEqual([{ name: "find", find: { wish: TEXT } }]);
});

test("T7: of a crowded search only the newest wish counts", () => {
  const me = idle().finds(TEXT).finds(VIDEO).outcome({ kind: "crowded" });
  expect(me.sent).toEqual([]);
  me.outcome(filed(500));
  expect(me.effects).toContainEqual({ do: "waiting", since: 500, relaxed: [] });
});

test("of several changes of mind while the store is asked, only the last is asked for", () => {
  const me = idle().finds(TEXT).finds(VIDEO).finds(TEXT).finds(VIDEO);
  me.outcome(filed(500));
  expect(me.calls).toEqual([{ name: "find", find: { wish: VIDEO } }]);
  me.outcome(filed(500));
  expect(me.calls).toEqual([]);
});

test("Next leaves the pair and asks in one call, and the other side hears of it from the answer", () => {
  const me = offerer().finds();
  expect(me.calls).toMatchObject([{ name: "find", find: { wish: TEXT, leaving: "p1" } }]);
  expect(me.state.name).toBe("waiting");
  me.outcome(filed(2_000, { left: { pair: "p1", partner: { session: "stranger", node: "n3" } } }));
  expect(me.told).toEqual([
    { partner: { session: "stranger", node: "n3" }, note: { type: "ended", pair: "p1", reason: "next" } },
  ]);
});

test("a search that goes on is no Next: one that has crossed with the match changes nothing", () => {
  const me = waiting().claimed("p1");
  const before = me.session;
  me.says({ type: "find", mode: "text", again: true }, TEXT);
  expect([me.session, me.effects]).toEqual([before, []]);
  // Who wants a picture now is in no pair without one.
  me.says({ type: "find", mode: "video", again: true }, VIDEO);
  expect(me.calls).toMatchObject([{ name: "find", find: { wish: VIDEO, leaving: "p1" } }]);
});

test("a search that goes on while waiting changes the ticket as any other", () => {
  const me = waiting().says({ type: "find", mode: "video", again: true }, VIDEO);
  expect(me.calls).toEqual([{ name: "find", find: { wish: VIDEO, since: 500 } }]);
});

test("Next that finds somebody at once tells both the old partner and the new one", () => {
  const me = answerer().finds();
  me.outcome(matched("p2", { partner: { session: "other", node: "n3", epoch: 1 } }, "p1"));
  expect(me.sent).toMatchObject([{ type: "matched", pair: "p2", role: "offerer", offerUsed: false }]);
  expect(me.told).toMatchObject([
    { partner: STRANGER, note: { type: "ended", pair: "p1", reason: "next" } },
    { partner: { session: "other", node: "n3" }, note: { type: "matched", pair: "p2", role: "answerer" } },
  ]);
});

test("Next pressed twice ends the pair once and asks again with the newer wish", () => {
  const me = offerer().finds().finds(VIDEO);
  me.outcome(filed(2_000, { left: { pair: "p1", partner: STRANGER } }));
  expect(me.calls).toMatchObject([{ name: "find", find: { wish: VIDEO } }]);
  expect(me.calls).not.toMatchObject([{ find: { leaving: "p1" } }]);
});

test("Next pressed while the store is still asked for something else ends the pair afterwards", () => {
  const me = waiting().due("retry").claimed("p1").finds();
  expect(me.calls).toEqual([]);
  me.outcome(filed(500));
  expect(me.calls).toMatchObject([{ name: "find", find: { leaving: "p1" } }]);
  me.finds(VIDEO).outcome(filed(2_000));
  expect(me.calls).toMatchObject([{ name: "find", find: { wish: VIDEO } }]);
});

test("leave while waiting takes the ticket back", () => {
  const me = waiting().says({ type: "leave" });
  expect(me.state.name).toBe("idle");
  expect(me.calls).toMatchObject([{ name: "leave" }]);
  expect(me.timers.has("retry")).toBe(false);
});

test("leave in a pair ends it, and the other side hears that", () => {
  const me = answerer().says({ type: "leave" });
  expect(me.state.name).toBe("idle");
  me.answered({ name: "leave", left: { pair: "p1", partner: STRANGER } });
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "left" } }]);
});

test("leave when there is nothing to leave does nothing", () => {
  expect(idle().says({ type: "leave" }).effects).toEqual([]);
});

test("leave while a find is under way: the pair that it makes ends again, and its other side hears that", () => {
  const me = idle().finds().says({ type: "leave" });
  expect(me.calls).toEqual([]);
  me.outcome(matched("p1"));
  expect(me.sent).toEqual([]);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
  me.answered({ name: "leave", left: { pair: "p1", partner: STRANGER } });
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "left" } }]);
});

test("leave, then find, while a find is under way: what the old ticket made is not taken", () => {
  const me = idle().finds().says({ type: "leave" }).finds(VIDEO);
  me.outcome(matched("p1"));
  expect(me.sent).toEqual([]);
  expect(me.state.name).toBe("waiting");
  expect(me.calls).toMatchObject([{ name: "leave" }]);
  me.answered({ name: "leave", left: { pair: "p1", partner: STRANGER } });
  expect(me.notes).toEqual([{ type: "ended", pair: "p1", reason: "left" }]);
  expect(me.calls).toEqual([{ name: "find", find: { wish: VIDEO } }]);
});

test("leave, then find, while a find is under way: waiting is said of the new ticket only", () => {
  const me = idle().finds().says({ type: "leave" }).finds();
  expect(me.outcome(filed(500)).did("waiting")).toBe(false);
  me.answered({ name: "leave" }).outcome(filed(900));
  expect(me.effects).toContainEqual({ do: "waiting", since: 900, relaxed: [] });
});

// The offer on board

test("the offer travels with the match, and the page is told that it was used", () => {
  const me = idle().finds(TEXT, "v=0 mine").outcome(matched("p1"));
  expect(me.sent).toMatchObject([{ type: "matched", role: "offerer", offerUsed: true }]);
  expect(me.notes).toMatchObject([{ type: "matched", pair: "p1", role: "answerer", offer: "v=0 mine" }]);
});

test("an offer is good for one asking: a ticket that had to wait has none", () => {
  const me = idle().finds(TEXT, "v=0 old").outcome(filed(500)).due("retry").outcome(matched("p1"));
  expect(me.sent).toMatchObject([{ type: "matched", offerUsed: false }]);
  expect(me.notes[0]).not.toHaveProperty("offer");
});

test("an offer of a page that has connected anew since is not used: the page may be another one", () => {
  const me = idle().finds(TEXT, "v=0 old").detaches().attaches().outcome(matched("p1"));
  expect(me.sent).toMatchObject([{ type: "matched", offerUsed: false }]);
  expect(me.notes[0]).not.toHaveProperty("offer");
});

test("who is claimed gets the other side's offer", () => {
  const me = waiting().claimed("p1", { offer: "v=0 theirs" });
  expect(me.sent).toMatchObject([{ type: "matched", role: "answerer", offer: "v=0 theirs" }]);
  expect(me.sent[0]).not.toHaveProperty("offerUsed");
});

// Signals

test("S1: a signal goes to the other side of the pair exactly as it came", () => {
  const me = answerer().says({ type: "signal", pair: "p1", data: { a: 1 } });
  const raw = bytes(JSON.stringify({ type: "signal", pair: "p1", data: { a: 1 } }));
  expect(me.effects).toEqual([{ do: "tell", partner: STRANGER, note: { type: "signal", pair: "p1", raw } }]);
});

test("S1: a signal for another pair goes nowhere and is an error", () => {
  const signal = { type: "signal", pair: "p0", data: {} } as const;
  expect(answerer().says(signal).effects).toMatchObject([
    { do: "send", message: { type: "error", code: "no_such_pair", field: "pair" } },
  ]);
  for (const scene of [idle, waiting]) {
    expect(scene().says(signal).effects).toMatchObject([
      { do: "send", message: { type: "error", code: "not_paired" } },
    ]);
  }
});

test("a signal for the pair before the last Next is an error", () => {
  const me = answerer()
    .finds()
    .outcome(matched("p2", {}, "p1"));
  me.says({ type: "signal", pair: "p1", data: {} });
  expect(me.told).toEqual([]);
  expect(me.sent).toMatchObject([{ type: "error", code: "no_such_pair" }]);
});

test("a signal of a pair that is over never reaches the visitor", () => {
  const me = answerer()
    .finds()
    .outcome(matched("p2", {}, "p1"));
  expect(me.signalled("p1", "late").effects).toEqual([]);
  expect(idle().signalled("p1", "stray").effects).toEqual([]);
});

// Block and report

const REPORT = { type: "report", pair: "p1", reason: "spam" } as const;

test("block ends the current pair and keeps the two apart", () => {
  const me = answerer().says({ type: "block", pair: "p1" });
  expect(me.state.name).toBe("idle");
  expect(me.calls).toMatchObject([{ name: "block", pair: "p1" }]);
  me.answered({ name: "block", blocked: { left: { pair: "p1", partner: STRANGER }, partnerDevice: "d" } });
  expect(me.notes).toEqual([{ type: "ended", pair: "p1", reason: "blocked" }]);
  expect(me.did("report")).toBe(false);
});

test("report blocks, leaves and stores in one step", () => {
  const me = answerer().says({ ...REPORT, details: "rude" });
  me.answered({ name: "block", blocked: { left: { pair: "p1", partner: STRANGER }, partnerDevice: "d" } });
  expect(me.notes).toEqual([{ type: "ended", pair: "p1", reason: "blocked" }]);
  expect(me.effects).toContainEqual({
    do: "report",
    pair: "p1",
    reason: "spam",
    details: "rude",
    partnerDevice: "d",
  });
});

test("the last pair can be reported for five minutes, and the pair that came after it goes on", () => {
  const me = answerer()
    .finds()
    .outcome(matched("p2", {}, "p1"))
    .hears({ type: "confirmed", pair: "p2" });
  me.passes(300_000).says(REPORT);
  expect(me.calls).toMatchObject([{ name: "block", pair: "p1" }]);
  expect(me.state).toMatchObject({ name: "paired", match: { pair: "p2" } });
  me.answered({ name: "block", blocked: { partnerDevice: "d" } });
  expect(me.told).toEqual([]);
  expect(me.did("report")).toBe(true);
});

test("after five minutes, or of any other pair, a report is an error", () => {
  const me = answerer().says({ type: "leave" }).answered({ name: "leave" });
  me.passes(300_001).says(REPORT);
  expect(me.sent).toMatchObject([{ type: "error", code: "not_paired" }]);
  expect(me.calls).toEqual([]);
  expect(offerer().says({ ...REPORT, pair: "p0" }).sent).toMatchObject([{ code: "no_such_pair" }]);
  expect(idle().says({ type: "block", pair: "p1" }).sent).toMatchObject([{ code: "not_paired" }]);
});

test("a visitor who was left can report who left", () => {
  const me = answerer().passes(60_000).hears({ type: "ended", pair: "p1", reason: "next" }).says(REPORT);
  expect(me.calls).toMatchObject([{ name: "block", pair: "p1" }]);
});

test("the last pair of a session taken over from another node is the store's to judge", () => {
  const me = idle();
  me.session = { ...me.session, epoch: 2 };
  me.says(REPORT);
  expect(me.calls).toMatchObject([{ name: "block", pair: "p1" }]);
  me.answered({ name: "block", blocked: null });
  expect(me.sent).toMatchObject([{ type: "error", code: "no_such_pair", field: "pair" }]);
});

test("a block, then find at once: both are done, the block first", () => {
  const me = answerer().says({ type: "block", pair: "p1" }).finds();
  me.answered({ name: "block", blocked: { left: { pair: "p1", partner: STRANGER }, partnerDevice: "d" } });
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT } }]);
});

test("a block is not lost by a leave after it", () => {
  const me = waiting().due("retry").claimed("p1").says({ type: "block", pair: "p1" });
  me.finds().says({ type: "leave" });
  me.outcome(filed(500));
  expect(me.calls).toMatchObject([{ name: "block" }]);
});

test("who keeps reporting during an outage is told to stop, and memory stays bounded", () => {
  const me = answerer().says({ type: "leave" }).unanswered();
  for (let i = 0; i < 100; i++) me.says({ type: "block", pair: "p1" });
  expect(me.sent).toMatchObject([{ type: "error", code: "unavailable" }]);
  expect(me.session.queued.length).toBeLessThanOrEqual(16);
});

// Quality

const quality = (pair: string) => ({ type: "quality", pair, outcome: "connected" }) as const;

test("the quality of the current and of the last pair is counted, once each, in any order", () => {
  const pair = "p1";
  const me = claimer(pair);
  expect(me.says(quality(pair)).effects).toEqual([{ do: "quality", quality: quality(pair) }]);
  expect(me.says(quality(pair)).effects).toEqual([]);
  me.finds().outcome(matched("next", {}, pair));
  expect(me.says(quality(pair)).effects).toEqual([]);
  expect(me.says(quality("next")).did("quality")).toBe(true);
  me.finds().outcome(matched("third", {}, "next"));
  expect(me.says(quality("third")).did("quality")).toBe(true);
  for (const again of ["next", "third", pair]) expect(me.says(quality(again)).effects).toEqual([]);
});

test("the quality of the last pair may come a little late, and that of no pair never counts", () => {
  const pair = "p1";
  const me = answerer(pair);
  me.says({ type: "leave" });
  me.passes(REPORT_AFTER_END_MS);
  expect(me.says(quality(pair)).did("quality")).toBe(true);
  const other = answerer(pair)
    .says({ type: "leave" })
    .passes(REPORT_AFTER_END_MS + 1);
  expect(other.says(quality(pair)).effects).toEqual([]);
  for (const scene of [idle, waiting, claimer])
    expect(scene().says(quality("of somebody else")).effects).toEqual([]);
});

test("a session that moved from node to node does not count its pair again on each", () => {
  const moved = new Play(restoredSession("me", "d", 2, { state: "paired", match: match("p") }));
  expect(moved.attaches().says(quality("p")).did("quality")).toBe(false);
});
