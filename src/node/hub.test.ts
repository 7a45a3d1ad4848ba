import { expect, test } from "vitest";
import { match, TEXT } from "../session/play.ts";
import { newSession } from "../session/session.ts";
import type { Session } from "../session/session.ts";
import { StillClock } from "../still-clock.ts";
import { Hub } from "./hub.ts";

function hub() {
  const clock = new StillClock();
  return { clock, hub: new Hub(clock) };
}
const waiting = (session: Session): Session => ({
  ...session,
  connected: true,
  state: { name: "waiting", wish: TEXT, relaxed: [], told: false },
});

const paired = (session: Session): Session => ({
  ...session,
  state: { name: "paired", match: match("p"), confirmed: true, wish: TEXT },
});

test("knows who waits, without those who are absent (S4), and how many are in a pair", () => {
  const { hub: sessions } = hub();
  const [a, b] = [
    sessions.add(newSession("a", "d"), "token a"),
    sessions.add(newSession("b", "d"), "token b"),
  ];
  const known = () => [[...sessions.waiting].map(({ session }) => session.id), sessions.paired];
  expect(known()).toEqual([[], 0]);
  sessions.replace(a, waiting(a.session));
  expect(known()).toEqual([["a"], 0]);
  sessions.replace(a, { ...a.session, connected: false });
  expect(known()).toEqual([[], 0]);
  sessions.replace(a, { ...a.session, connected: true });
  expect(known()).toEqual([["a"], 0]);
  sessions.replace(b, paired(b.session));
  sessions.replace(b, { ...b.session, connected: true });
  expect(known()).toEqual([["a"], 1]);
  sessions.replace(b, newSession("b", "d"));
  sessions.remove(a);
  sessions.remove(a);
  expect(known()).toEqual([[], 0]);
  expect(sessions.get("a")).toBeUndefined();
  expect([...sessions.seats()]).toEqual([b]);
  expect(sessions.size).toBe(1);
});

test("a session has one timer of each name, and none once it is gone", () => {
  const { clock, hub: sessions } = hub();
  const seat = sessions.add(newSession("a", "d"), "token");
  const due: string[] = [];
  sessions.schedule(seat, "retry", 100, () => due.push("first retry"));
  sessions.schedule(seat, "retry", 200, () => due.push("retry"));
  sessions.schedule(seat, "grace", 150, () => due.push("grace"));
  clock.move(200);
  expect(due).toEqual(["grace", "retry"]);
  sessions.schedule(seat, "store", 10, () => due.push("cancelled"));
  sessions.cancel(seat, "store");
  sessions.schedule(seat, "confirm", 10, () => due.push("of one who is gone"));
  sessions.remove(seat);
  clock.move(1_000);
  expect(due).toEqual(["grace", "retry"]);
  expect(clock.pending).toBe(0);
});

test("a session that came back is not removed with the one before", () => {
  const { hub: sessions } = hub();
  const before = sessions.add(newSession("a", "d"), "token");
  sessions.remove(before);
  const after = sessions.add(newSession("a", "d"), "token");
  sessions.remove(before);
  expect(sessions.get("a")).toBe(after);
  expect(sessions.size).toBe(1);
});
