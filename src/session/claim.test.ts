/** What a session does about being matched: both sides are told, or the match is undone. */
import { expect, test } from "vitest";
import type { Outcome } from "./match.ts";
import {
  answerer,
  claimed,
  claimer,
  filed,
  idle,
  matched,
  offerer,
  STRANGER,
  TEXT,
  VIDEO,
  waiting,
} from "./play.ts";

const OTHER = { session: "other", node: "n3", epoch: 1 };

// Claiming

test("M2: who claims hears of it at once, tells the other side, and waits two seconds for its word", () => {
  const me = waiting().finds().outcome(matched("p1"));
  expect(me.sent).toMatchObject([{ type: "matched", pair: "p1", role: "offerer" }]);
  expect(me.told).toEqual([
    {
      partner: STRANGER,
      note: {
        type: "matched",
        pair: "p1",
        mode: "text",
        role: "answerer",
        common: { interests: [] },
        epoch: 1,
      },
    },
  ]);
  expect(me.timers.get("confirm")).toBe(me.now + 2_000);
  expect(me.timers.has("retry")).toBe(false);
});

test("M2: confirmed, the pair is made", () => {
  const me = claimer().hears({ type: "confirmed", pair: "p1" });
  expect(me.state).toMatchObject({ name: "paired", confirmed: true });
  expect(me.timers.has("confirm")).toBe(false);
});

test("M2: not confirmed within two seconds, the match is undone and the ticket goes back to its place", () => {
  const me = claimer().due("confirm");
  expect(me.state).toMatchObject({ name: "waiting", since: 500 });
  expect(me.effects).toContainEqual({ do: "count", what: "undone" });
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1", find: { wish: TEXT, since: 500 } }]);
  me.outcome(filed(500));
  expect(me.effects).toContainEqual({ do: "waiting", since: 500, relaxed: [] });
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "lost" } }]);
});

test("M2: refused, the match is undone at once, and the other side hears when its ticket may be filed again", () => {
  const me = claimer().hears({ type: "refused", pair: "p1" });
  expect(me.state).toMatchObject({ name: "waiting", since: 500 });
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1", find: { wish: TEXT, since: 500 } }]);
  expect(me.timers.has("confirm")).toBe(false);
  me.outcome(filed(500));
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "lost" } }]);
});

test("where the other side says that it has moved, an older answer of the store does not stand", () => {
  const me = claimer().event({ type: "forgotten" });
  const moved = { ...STRANGER, node: "n3", epoch: 2 };
  me.claimed("p1", {}, moved);
  expect(
    me.answered({ name: "restore", restored: "held", there: { node: STRANGER.node, epoch: 1 } }).calls,
  ).toMatchObject([{ name: "restore" }]);
  me.answered({ name: "restore", restored: "held", there: { node: "n3", epoch: 2 } });
  expect(me.state).toMatchObject({ name: "paired", confirmed: true, match: { partner: moved } });
});

test("M2: the other side of a match that is being undone hears of it where it has moved to meanwhile", () => {
  const me = claimer().hears({ type: "refused", pair: "p1" });
  const moved = { ...STRANGER, node: "n3", epoch: 2 };
  me.claimed("p1", {}, moved);
  // The first answer, with where it lives, was lost: this one knows nothing of the pair any more.
  expect(me.outcome(filed(500)).told).toEqual([
    { partner: moved, note: { type: "ended", pair: "p1", reason: "lost" } },
  ]);
});

test("a visitor who blocks somebody while that match is being undone has left all the same", () => {
  const me = claimer().due("confirm").says({ type: "block", pair: "p1" });
  expect(me.sent).toMatchObject([{ type: "error", code: "not_paired" }]);
  expect(me.state.name).toBe("idle");
  expect(me.outcome(filed(500)).calls).toMatchObject([{ name: "leave" }]);
});

test("a visitor who looks on while a match is being undone, and blocks that one then, looks on", () => {
  const me = claimer("p1").hears({ type: "refused", pair: "p1" }).finds().outcome(filed(500));
  me.says({ type: "block", pair: "p1" });
  expect(me.state.name).toBe("waiting");
});

test("M2: an undone match can be followed by the next one at once", () => {
  const me = claimer()
    .due("confirm")
    .outcome(matched("p2", { partner: OTHER }));
  expect(me.sent).toMatchObject([{ type: "matched", pair: "p2" }]);
  expect(me.told).toMatchObject([
    { partner: STRANGER, note: { type: "ended", pair: "p1" } },
    { partner: OTHER, note: { type: "matched", pair: "p2" } },
  ]);
});

test("M2: the other side has ended the pair before it could confirm: back to the old place", () => {
  const me = claimer().hears({ type: "ended", pair: "p1", reason: "left" });
  expect(me.state).toMatchObject({ name: "waiting", since: 500 });
  expect(me.sent).toEqual([]);
});

test("a confirmation from where the other side does not live any more does not lead signals back there", () => {
  const me = offerer().claimed("p1", {}, { ...STRANGER, node: "n9", epoch: 2 });
  me.hears({ type: "confirmed", pair: "p1" }, STRANGER);
  expect(me.state).toMatchObject({ match: { partner: { node: "n9" } } });
});

test("where the other side says that it has moved is believed, and asked of the store", () => {
  const me = offerer().claimed("p1", {}, { ...STRANGER, node: "n9", epoch: 2 });
  expect(me.state).toMatchObject({ match: { partner: { node: "n9" } } });
  expect(me.calls).toMatchObject([{ name: "restore" }]);
  me.answered({ name: "restore", restored: "held", there: { node: "n2", epoch: 3 } });
  expect(me.state).toMatchObject({ match: { partner: { node: "n2" } } });
});

test("S2: word of a move that comes late leads nowhere: there it is only said that everything is told elsewhere", () => {
  const [first, second] = [2, 3].map((epoch) => ({ ...STRANGER, node: `n${epoch + 1}`, epoch }));
  const me = offerer().event({ type: "forgotten" }).claimed("p1", {}, second).claimed("p1", {}, first);
  expect(me.state).toMatchObject({ match: { partner: second } });
  expect(me.told).toContainEqual({ partner: first, note: { type: "last", pair: "p1", epoch: 2 } });
  // An answer of the store that was under way meanwhile is no newer.
  me.answered({ name: "restore", restored: "held", there: { node: STRANGER.node, epoch: 1 } });
  expect(me.state).toMatchObject({ match: { partner: second } });
});

test("a confirmation of another pair confirms nothing", () => {
  expect(claimer("p2").hears({ type: "confirmed", pair: "p1" }).state).toMatchObject({ confirmed: false });
});

test("a confirmation that comes after the undoing is too late", () => {
  const me = claimer().due("confirm").hears({ type: "confirmed", pair: "p1" });
  expect(me.state.name).toBe("waiting");
  expect(me.effects).toEqual([]);
});

test("M2: a match for a visitor who is not there any more is taken back, and the ticket stays away", () => {
  const me = idle().finds().detaches().outcome(matched("p1"));
  expect(me.effects).toContainEqual({ do: "count", what: "undone" });
  expect(me.notes).toContainEqual({ type: "refused", pair: "p1" });
  expect(me.state.name).toBe("waiting");
  expect(me.calls).toMatchObject([{ name: "absent" }]);
});

test("M5: a match of the mode that the visitor wants no more is taken back", () => {
  const me = idle().finds(TEXT).finds(VIDEO).outcome(matched("p1"));
  expect(me.effects).toContainEqual({ do: "count", what: "undone" });
  expect(me.sent).toEqual([]);
  expect(me.state).toMatchObject({ name: "waiting", wish: VIDEO });
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1", find: { wish: VIDEO } }]);
  me.outcome(filed(500));
  expect(me.notes).toEqual([{ type: "ended", pair: "p1", reason: "lost" }]);
});

test("M6: what gave way is counted once, also when the same answer brings the match", () => {
  const gaveWay = (what: string) => ({ do: "gaveWay", what });
  const me = waiting()
    .due("retry")
    .outcome(filed(500, { relaxed: ["interests"] }));
  expect(me.effects).toContainEqual(gaveWay("interests"));
  me.due("retry").outcome({ ...matched("p1"), relaxed: ["interests", "languages"] } as Outcome);
  expect(me.effects).toContainEqual(gaveWay("languages"));
  expect(me.effects).not.toContainEqual(gaveWay("interests"));
});

// Being claimed

test("M2: who is claimed hears of it and confirms", () => {
  const me = waiting().claimed("p1");
  expect(me.sent).toMatchObject([{ type: "matched", pair: "p1", role: "answerer" }]);
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "confirmed", pair: "p1" } }]);
  expect(me.state).toMatchObject({ name: "paired", match: { partner: STRANGER } });
  expect(me.timers.has("retry")).toBe(false);
});

test("the same claim twice is confirmed twice and said once", () => {
  const me = answerer().claimed("p1");
  expect(me.notes).toEqual([{ type: "confirmed", pair: "p1" }]);
  expect(me.sent).toEqual([]);
});

test.each([
  ["idle", () => idle()],
  ["absent", () => waiting().detaches()],
  ["in another pair", () => offerer("p0")],
  ["about to leave", () => waiting().says({ type: "leave" })],
  ["leaving and looking anew", () => waiting().says({ type: "leave" }).finds()],
])("M2: a claim that finds the visitor %s is refused", (_, scene) => {
  const me = scene();
  const { name } = me.state;
  me.claimed("p1");
  expect(me.told).toContainEqual({ partner: STRANGER, note: { type: "refused", pair: "p1" } });
  expect(me.sent).toEqual([]);
  expect(me.state.name).toBe(name);
});

test("M5: a claim in the mode that the visitor wants no more is refused", () => {
  const me = waiting(TEXT).finds(VIDEO).claimed("p1", { mode: "text" });
  expect(me.notes).toContainEqual({ type: "refused", pair: "p1" });
  expect(me.state).toMatchObject({ name: "waiting", wish: VIDEO });
});

test("M8: a claim on somebody who looks for nobody shows that the store has a ticket too much: it goes", () => {
  const me = idle().claimed("p1");
  expect(me.notes).toEqual([{ type: "refused", pair: "p1" }]);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("a claim that crosses Next: the new ticket is what counts", () => {
  // The claim was made after the store had done our Next, whose answer is still on its way.
  const me = offerer("p0").finds().claimed("p1", {});
  expect(me.state).toMatchObject({ name: "paired", match: { pair: "p1" } });
  me.outcome(filed(2_000, { left: { pair: "p0", partner: OTHER } }));
  expect(me.told).toEqual([{ partner: OTHER, note: { type: "ended", pair: "p0", reason: "next" } }]);
  expect(me.state).toMatchObject({ name: "paired", match: { pair: "p1" } });
});

// What the store says of a claim before its maker does

test("M2: claimed by somebody of whom nothing is heard for two seconds: undone, place kept, the other side told", () => {
  const me = waiting().due("retry").outcome(claimed("p1"));
  expect(me.timers.get("retry")).toBe(me.now + 2_000);
  me.due("retry").outcome(claimed("p1"));
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1", find: { wish: TEXT, since: 500 } }]);
  me.outcome(filed(500));
  expect(me.told).toEqual([{ partner: STRANGER, note: { type: "ended", pair: "p1", reason: "lost" } }]);
});

test("a change of mind does not cut short the two seconds that a claim has", () => {
  const me = waiting().due("retry").outcome(claimed("p1")).passes(100).finds().outcome(claimed("p1"));
  expect(me.calls).toEqual([]);
  expect(me.timers.get("retry")).toBe(me.now + 1_900);
});

test("claimed, and then the claim arrives: taken", () => {
  const me = waiting().due("retry").outcome(claimed("p1")).claimed("p1");
  expect(me.state).toMatchObject({ name: "paired", match: { pair: "p1" } });
  expect(me.timers.has("retry")).toBe(false);
});

test("claimed by the pair that we have just ended: that is left, not waited for", () => {
  const me = offerer("p0")
    .hears({ type: "ended", pair: "p0", reason: "left" })
    .finds()
    .outcome(claimed("p0"));
  expect(me.calls).toMatchObject([{ name: "find", find: { wish: TEXT, leaving: "p0" } }]);
});

// A pair that is over stays over

test("a claim that was undone before it arrived is refused", () => {
  const me = waiting().due("retry").outcome(claimed("p1")).due("retry").outcome(claimed("p1"));
  me.claimed("p1"); // while the undoing is under way
  expect(me.notes).toEqual([{ type: "refused", pair: "p1" }]);
  me.outcome(filed(500)).claimed("p1");
  expect(me.notes).toEqual([{ type: "refused", pair: "p1" }]);
  expect(me.state.name).toBe("waiting");
});

test("a claim that our own leave has ended before it arrived is refused", () => {
  const me = waiting().says({ type: "leave" });
  me.answered({ name: "leave", left: { pair: "p1", partner: STRANGER } });
  me.finds().outcome(filed(900)).claimed("p1");
  expect(me.notes).toEqual([{ type: "refused", pair: "p1" }]);
  expect(me.state.name).toBe("waiting");
});

test("a claim whose end has overtaken it is refused", () => {
  const me = waiting().hears({ type: "ended", pair: "p1", reason: "left" }).outcome(filed(500)).claimed("p1");
  expect(me.notes).toEqual([{ type: "refused", pair: "p1" }]);
  expect(me.state.name).toBe("waiting");
});

test("our own match whose end has overtaken the store's answer is not taken", () => {
  const me = idle().finds().hears({ type: "ended", pair: "p1", reason: "lost" }).outcome(matched("p1"));
  expect(me.sent).toEqual([]);
  expect(me.state.name).toBe("waiting");
  expect(me.calls).toMatchObject([{ name: "find" }]);
});

test("what is remembered of past pairs is bounded", () => {
  const me = waiting();
  for (let i = 0; i < 1_000; i++) me.hears({ type: "ended", pair: `p${i}`, reason: "left" });
  expect(JSON.stringify(me.session).length).toBeLessThan(2_000);
});

// A find under way when the pair ends

test("M8: a find that was under way when the claim came, and is answered after the pair's end, leaves no ticket", () => {
  const me = waiting().due("retry").claimed("p1").hears({ type: "ended", pair: "p1", reason: "left" });
  expect(me.state.name).toBe("idle");
  me.outcome(filed(500));
  expect(me.did("waiting")).toBe(false);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("M8: … and no pair", () => {
  const me = waiting().due("retry").claimed("p1").hears({ type: "ended", pair: "p1", reason: "left" });
  me.outcome(matched("p2", { partner: OTHER }));
  expect(me.calls).toMatchObject([{ name: "leave" }]);
  me.answered({ name: "leave", left: { pair: "p2", partner: OTHER } });
  expect(me.told).toEqual([{ partner: OTHER, note: { type: "ended", pair: "p2", reason: "left" } }]);
});

test("the store matches somebody whose pair it has ended: the visitor hears the end, nobody hangs", () => {
  const me = waiting()
    .due("retry")
    .claimed("p1")
    .outcome(matched("p2", { partner: OTHER }));
  expect(me.sent).toMatchObject([{ type: "ended", pair: "p1", reason: "lost" }]);
  expect(me.state.name).toBe("idle");
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("M8: a claim that ends as soon as it comes may have been over before our ticket was filed again: it goes", () => {
  const me = waiting().due("retry").outcome(filed(500)).claimed("p1");
  me.hears({ type: "ended", pair: "p1", reason: "left" });
  expect(me.sent).toMatchObject([{ type: "ended", pair: "p1" }]);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("M8: a match that its maker undoes after a while gives us our place back, which we do not want any more", () => {
  const me = answerer().passes(60_000).hears({ type: "ended", pair: "p1", reason: "lost" });
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("M8: … nor when we block that pair while it is being undone", () => {
  const me = answerer().says({ type: "block", pair: "p1" }).answered({ name: "block", blocked: null });
  expect(me.sent).toMatchObject([{ type: "error", code: "no_such_pair" }]);
  expect(me.calls).toMatchObject([{ name: "leave" }]);
});

test("a block that comes too late for a pair of before changes nothing about the search of today", () => {
  const me = offerer("p0").hears({ type: "ended", pair: "p0", reason: "left" }).finds().outcome(filed(900));
  me.says({ type: "block", pair: "p0" }).answered({ name: "block", blocked: null });
  expect(me.state.name).toBe("waiting");
  expect(me.calls).toEqual([]);
});

// In a pair

test("the other side's end is said with its reason, and the session is idle", () => {
  const me = answerer().passes(60_000).hears({ type: "ended", pair: "p1", reason: "next" });
  expect(me.sent).toEqual([{ type: "ended", pair: "p1", reason: "next" }]);
  expect(me.state.name).toBe("idle");
  expect(me.calls).toEqual([]);
});

test("the end of another pair ends nothing", () => {
  const me = answerer().hears({ type: "ended", pair: "p0", reason: "left" });
  expect(me.sent).toEqual([]);
  expect(me.state.name).toBe("paired");
});

test("the end of a claim that was never heard of files the ticket again", () => {
  const me = waiting().hears({ type: "ended", pair: "p1", reason: "left" });
  expect(me.calls).toEqual([{ name: "find", find: { wish: TEXT, since: 500 } }]);
});

test("a claim that its own maker takes back is undone", () => {
  const me = waiting().hears({ type: "refused", pair: "p1" });
  expect(me.calls).toMatchObject([{ name: "undo", pair: "p1", find: { wish: TEXT, since: 500 } }]);
});

test("leave before the confirmation: the confirmation changes nothing", () => {
  const me = claimer().says({ type: "leave" }).hears({ type: "confirmed", pair: "p1" });
  expect(me.state.name).toBe("idle");
  expect(me.timers.has("confirm")).toBe(false);
});

test("M1: a claim of somebody who is in another pair makes the store be asked which one it is", () => {
  const me = answerer("p1").claimed("p2");
  expect(me.notes).toEqual([{ type: "refused", pair: "p2" }]);
  expect(me.calls).toMatchObject([{ name: "restore", match: { pair: "p1" } }]);
});

test("S1: nobody but the other side makes a confirmed pair be doubted", () => {
  const refusal = { type: "refused", pair: "p1" } as const;
  expect(offerer().hears(refusal, { session: "somebody", node: "n2" }).calls).toEqual([]);
  expect(offerer().hears(refusal).calls).toMatchObject([{ name: "restore", match: { pair: "p1" } }]);
});
