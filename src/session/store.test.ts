/** What a session does when the store is slow, away, or knows better. */
import { expect, test } from "vitest";
import {
  answerer,
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

// An outage

test.each(["before", "after"] as const)(
  "the other side hears at once of who leaves %s another call has met the outage",
  (when) => {
    const me = answerer().passes(60_000).event({ type: "forgotten" });
    if (when === "after") expect(me.unanswered().told).toEqual([]);
    me.says({ type: "leave" });
    if (when === "before") expect(me.unanswered().calls).toEqual([]);
    expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "left" } }]);
  },
);

test("a find is kept over an outage, said once, asked again, and answered when the store is back", () => {
  const me = idle().finds().unanswered();
  expect(me.sent).toMatchObject([{ type: "error", code: "unavailable" }]);
  for (let i = 0; i < 5; i++) {
    expect(me.due("store").calls).toEqual([{ name: "find", find: { wish: TEXT } }]);
    expect(me.unanswered().sent).toEqual([]);
  }
  me.due("store").outcome(filed(9_000));
  expect(me.effects).toContainEqual({ do: "waiting", since: 9_000, relaxed: [] });
  expect(me.timers.has("store")).toBe(false);
});

test("the next outage is said again", () => {
  const me = idle().finds().unanswered().due("store").outcome(filed(500)).due("retry").unanswered();
  expect(me.sent).toMatchObject([{ code: "unavailable" }]);
});

test("a find that has to wait behind another call during an outage is said as well", () => {
  const me = new Play().attaches(false).unanswered().finds();
  expect(me.sent).toMatchObject([{ type: "error", code: "unavailable" }]);
  expect(me.due("store").unanswered().sent).toEqual([]);
  me.due("store").answered({ name: "open" });
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT } }]);
});

test("an outage is nobody's business who does not wait for anything", () => {
  expect(new Play().attaches(false).unanswered().sent).toEqual([]);
  expect(waiting().says({ type: "leave" }).unanswered().sent).toEqual([]);
});

test.each([
  ["Next", "next", () => offerer().finds()],
  ["leave", "left", () => offerer().says({ type: "leave" })],
  ["a block", "blocked", () => offerer().says({ type: "block", pair: "p1" })],
  ["the end of the grace", "lost", () => offerer().detaches().due("grace")],
] as const)("during an outage %s is told to the other side at once, and once", (_, reason, scene) => {
  const me = scene().unanswered();
  expect(me.notes).toEqual([{ type: "ended", pair: "p1", reason }]);
  expect(me.due("store").unanswered().notes).toEqual([]);
});

test("an undoing that has to wait for the store is told at once to whom it concerns", () => {
  const me = waiting().finds().outcome(matched("p1")).due("confirm").unanswered();
  expect(me.notes).toEqual([{ type: "ended", pair: "p1", reason: "lost" }]);
});

test("an outage tells a partner of long ago nothing", () => {
  const me = offerer()
    .says({ type: "leave" })
    .answered({ name: "leave", left: { pair: "p1", partner: STRANGER } });
  me.finds().unanswered();
  expect(me.told).toEqual([]);
  me.says({ type: "leave" }).due("store").outcome(filed(500));
  expect(me.calls).toMatchObject([{ name: "leave" }]);
  expect(me.unanswered().told).toEqual([]);
});

test("a visitor who gives up during an outage is idle, and the store hears it when it is back", () => {
  const me = idle().finds().unanswered().says({ type: "leave" });
  expect(me.state.name).toBe("idle");
  me.due("store").outcome(filed(500));
  expect(me.did("waiting")).toBe(false);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("M2: a find whose answer was lost is asked again, and what it has claimed is a match like any other", () => {
  const me = idle().finds(TEXT, "my offer").unanswered();
  me.due("store").outcome({ kind: "claimed", match: match("p1", { role: "offerer" }) });
  expect(me.sent).toMatchObject([{ type: "matched", pair: "p1", role: "offerer", offerUsed: true }]);
  expect(me.told).toMatchObject([
    { partner: STRANGER, note: { type: "matched", pair: "p1", role: "answerer", offer: "my offer" } },
  ]);
  expect(me.timers.get("confirm")).toBe(me.now + 2_000);
});

test("M2: … unless it is known to be over by then: undone", () => {
  const me = idle().finds().unanswered().hears({ type: "ended", pair: "p1", reason: "lost" });
  me.due("store").outcome({ kind: "claimed", match: match("p1", { role: "offerer" }) });
  expect(me.sent).toEqual([]);
  me.outcome({ kind: "claimed", match: match("p1", { role: "offerer" }) });
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1" }]);
});

test("a leave whose answer was lost still tells the other side", () => {
  const me = answerer().says({ type: "leave" }).unanswered();
  expect(me.notes).toEqual([{ type: "ended", pair: "p1", reason: "left" }]);
});

test("a claim that comes just after an outage may be one that a leave of ours, whose answer was lost, has ended", () => {
  const me = waiting().says({ type: "leave" }).unanswered().finds();
  me.due("store").answered({ name: "leave" }).outcome(filed(900)).claimed("p1");
  expect(me.sent).toMatchObject([{ type: "matched", pair: "p1" }]);
  expect(me.calls).toMatchObject([{ name: "restore", match: { pair: "p1" } }]);
  expect(me.answered({ name: "restore", restored: "held" }).state.name).toBe("paired");
});

// A store that has lost what it knew

test("a match of whose ticket such a store was still to be told is told to it instead", () => {
  const me = idle().finds().event({ type: "forgotten" }).outcome(matched("p1"));
  expect(me.state.name).toBe("paired");
  expect(me.calls).toMatchObject([{ name: "restore", match: { pair: "p1" } }]);
});

test("… also when the ticket was to come back from a match that is undone", () => {
  const me = waiting().event({ type: "forgotten" }).hears({ type: "refused", pair: "p0" }).claimed("p1");
  expect(me.state.name).toBe("paired");
  me.answered({ name: "restore", restored: "held" });
  expect(me.calls).toMatchObject([{ name: "restore", match: { pair: "p1" } }]);
});

test.each([
  ["Next", "next", (me: Play) => me.finds().outcome(filed(900))],
  ["leave", "left", (me: Play) => me.says({ type: "leave" }).answered({ name: "leave" })],
  [
    "block",
    "blocked",
    (me: Play) => me.says({ type: "block", pair: "p1" }).answered({ name: "block", blocked: null }),
  ],
  ["the end of the grace", "lost", (me: Play) => me.detaches().due("grace").answered({ name: "end" })],
] as const)(
  "%s ends a pair that the store knows nothing of, and the other side hears that",
  (_, reason, play) => {
    const me = play(offerer());
    expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason } }]);
  },
);

test("a pair of whose other side such a store has not heard within its grace is over", () => {
  const me = answerer().passes(60_000).event({ type: "forgotten" });
  expect(me.answered({ name: "restore", restored: "alone" }).sent).toEqual([]);
  // Asked for another reason meanwhile, the same answer is no second one.
  me.passes(5_000).event({ type: "forgotten" });
  expect(me.answered({ name: "restore", restored: "alone" }).sent).toEqual([]);
  expect(me.due("alone").calls).toMatchObject([{ name: "restore", match: { pair: "p1" } }]);
  expect(me.answered({ name: "restore", restored: "alone" }).sent).toMatchObject([
    { type: "ended", pair: "p1", reason: "lost" },
  ]);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("a pair that ends before such a store has heard of its other side is taken out of it", () => {
  const me = answerer().passes(60_000).event({ type: "forgotten" });
  me.answered({ name: "restore", restored: "alone" }).hears({ type: "ended", pair: "p1", reason: "next" });
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("… also when it ends while such a store is told of it", () => {
  const me = answerer().passes(60_000).event({ type: "forgotten" });
  me.hears({ type: "ended", pair: "p1", reason: "next" }).answered({ name: "restore", restored: "alone" });
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("a pair whose other side came back to such a store goes on", () => {
  const me = answerer().event({ type: "forgotten" }).answered({ name: "restore", restored: "alone" });
  expect(me.due("alone").answered({ name: "restore", restored: "held" }).sent).toEqual([]);
  me.event({ type: "forgotten" }).answered({ name: "restore", restored: "alone" });
  expect(me.state).toMatchObject({ name: "paired", match: { pair: "p1" } });
});

test("a pair goes on with its other side where the store says that it lives now", () => {
  const me = answerer().event({ type: "forgotten" });
  me.answered({ name: "restore", restored: "held", there: { node: "n9", epoch: 2 } });
  expect(me.says({ type: "signal", pair: "p1", data: {} }).told).toMatchObject([
    { partner: { ...STRANGER, node: "n9", epoch: 2 }, note: { type: "signal" } },
  ]);
  expect(me.event({ type: "forgotten" }).answered({ name: "restore", restored: "held" }).state).toMatchObject(
    {
      match: { partner: { ...STRANGER, node: "n9", epoch: 2 } },
    },
  );
});

test("a pair that the store knows to be over ends, and with it whatever else it believes of us", () => {
  const me = answerer().event({ type: "forgotten" }).answered({ name: "restore", restored: "over" });
  expect(me.sent).toMatchObject([{ type: "ended", pair: "p1", reason: "lost" }]);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
  // Such a store may have told nobody: the other side would stay in the pair for ever.
  me.answered({ name: "leave" });
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "lost" } }]);
});

test("M2: a match that the store knows to be over before its other side was told is undone, and nobody is told of an end", () => {
  const me = claimer().event({ type: "forgotten" }).answered({ name: "restore", restored: "over" });
  expect(me.state.name).toBe("waiting");
  expect(me.sent).toEqual([]);
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1", find: { since: 500 } }]);
});

test("M1: who is in no pair leaves the one that the store still has them in, as after a leave that was lost", () => {
  const me = offerer().hears({ type: "ended", pair: "p1", reason: "left" }).event({ type: "forgotten" });
  expect(me.calls).toEqual([{ name: "restore" }]);
  expect(me.answered({ name: "restore", restored: "over" }).calls).toMatchObject([{ name: "leave" }]);
  me.answered({ name: "leave", left: { pair: "p1", partner: STRANGER } });
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "lost" } }]);
});

test("who waits when the store has them in a pair hears of that by the next find", () => {
  const me = waiting().event({ type: "forgotten" }).answered({ name: "restore", restored: "over" });
  expect(me.state.name).toBe("waiting");
  expect(me.calls).toMatchObject([{ name: "find" }]);
});

// A lease that ran out

test.each([
  ["a find", () => idle().finds(), "find"],
  ["a Next", () => offerer().finds(), "find"],
  ["an undoing", () => waiting().finds().outcome(matched("p1")).due("confirm"), "undo"],
] as const)(
  "%s that the store refuses because the node's lease ran out is asked again as it was",
  (_, scene, name) => {
    const me = scene();
    const asked = me.calls[0];
    expect(asked).toMatchObject({ name });
    me.outcome({ kind: "fenced" });
    expect(me.sent).toEqual([]);
    expect(me.calls).toEqual([]);
    expect(me.due("store").calls).toEqual([asked]);
  },
);

// Elsewhere

test("S3: an answer that the session is another node's now waits for that node's word, and asks nothing more", () => {
  const me = idle().finds().outcome({ kind: "superseded" });
  expect(me.effects).toEqual([{ do: "timer", timer: "takeover", after: 1_000 }]);
  me.says({ type: "leave" }).finds(VIDEO);
  expect(me.calls).toEqual([]);
  me.event({ type: "superseded", late: false });
  expect(me.effects).toContainEqual({ do: "close", code: 4503 });
});

test.each([
  ["a leave", () => offerer().says({ type: "leave" }), { name: "leave", left: "superseded" }],
  ["a block", () => offerer().says({ type: "block", pair: "p1" }), { name: "block", blocked: "superseded" }],
  ["the end of the grace", () => offerer().detaches().due("grace"), { name: "end", left: "superseded" }],
  ["a doubt", () => offerer().event({ type: "forgotten" }), { name: "restore", restored: "superseded" }],
] as const)(
  "S3: %s of a session that is elsewhere tells nobody that the pair is over",
  (_, scene, answer) => {
    const me = scene().answered(answer);
    expect(me.told).toEqual([]);
    expect(me.due("takeover").told).toEqual([]);
    expect(me.did("forget")).toBe(true);
  },
);

test("S3: without that word it is not known who is the newer one: connect again", () => {
  const me = idle().finds().outcome({ kind: "superseded" }).due("takeover");
  expect(me.effects).toContainEqual({ do: "close", code: 4402 });
  expect(me.did("forget")).toBe(true);
  expect(me.unanswered().sent).toEqual([]);
});

// One call at a time

test("calls go out one at a time and in order", () => {
  const me = offerer().says({ type: "block", pair: "p1" }).finds().says({ type: "leave" }).finds(VIDEO);
  me.answered({ name: "block", blocked: { partnerDevice: "d" } });
  expect(me.calls).toMatchObject([{ name: "leave" }]);
  me.answered({ name: "leave" });
  expect(me.calls).toEqual([{ name: "find", find: { wish: VIDEO } }]);
  me.outcome(filed(500));
  expect(me.session.calling).toBeUndefined();
  expect(me.session.queued).toEqual([]);
});

test("a doubt about what the store knows is not lost by a leave", () => {
  const me = waiting().due("retry").claimed("p1").event({ type: "forgotten" }).says({ type: "leave" });
  expect(me.outcome(filed(500)).calls).toMatchObject([{ name: "restore" }]);
  expect(me.answered({ name: "restore", restored: "held" }).calls).toMatchObject([{ name: "leave" }]);
});

test("S3: a store that has lost a waiting session hears of it also when it stops to wait before it has asked again", () => {
  const me = waiting().due("retry").event({ type: "forgotten" }).says({ type: "leave" });
  expect(me.outcome(filed(500)).calls).toEqual([{ name: "restore" }]);
  const absent = waiting().due("retry").event({ type: "forgotten" }).detaches();
  expect(absent.outcome(filed(500)).calls).toEqual([{ name: "restore" }]);
});

test("an answer to something else than was asked is nobody's", () => {
  const me = idle().finds();
  expect(me.answered({ name: "leave", left: { pair: "p1", partner: STRANGER } }).effects).toEqual([]);
  expect(me.session.calling).toMatchObject({ name: "find" });
});
