import { expect, test } from "vitest";
import type { Envelope } from "../links/link.ts";
import type { Signal } from "../session/note.ts";
import { StillClock } from "../still-clock.ts";
import { Moves } from "./moves.ts";

const signal = (text: string, pair = "p"): Signal => ({ type: "signal", pair, raw: Buffer.from(text) });
const raw = (...texts: string[]) => texts.map((text) => Buffer.from(text));

/** Where `session` is here until `isHere` is taken back. */
function start() {
  const clock = new StillClock();
  const heard: string[] = [];
  const sent: [to: string, ...frames: string[]][] = [];
  const place = { clock, heard, sent, isHere: true, dropped: 0 };
  const send = (to: string, envelope: Envelope): boolean => {
    if (envelope.kind === "held") sent.push([to, ...envelope.frames.map(String)]);
    return true;
  };
  const parts = { clock, link: { send }, metrics: { heldDropped: () => void (place.dropped += 1) } };
  const moves = new Moves(parts, {
    give(_session, { raw }) {
      if (place.isHere) heard.push(String(raw));
      return place.isHere;
    },
    onAllHere() {},
  });
  return Object.assign(place, {
    moves,
    arrives: (text: string) => moves.arrived("s", signal(text)),
    follow: (...texts: string[]) => moves.followed("s", "p", raw(...texts)),
    goes: (to: string, heardOut: boolean, ...held: string[]) => {
      place.isHere = false;
      moves.went("s", to, { pair: "p", held: raw(...held), heardOut });
    },
  });
}

test("S2: what overtakes what was held where the session was waits for that, and for what still came there", () => {
  const { moves, arrives, follow, heard } = start();
  arrives("0");
  moves.came("s", true);
  arrives("4");
  follow("1", "2");
  arrives("5");
  follow("3");
  expect(heard).toEqual(["0", "1", "2", "3"]);
  follow();
  arrives("6");
  expect(heard).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
});

test("S2: it does not wait for ever for a node that hangs, and what that sends after all is not lost", () => {
  const { moves, arrives, follow, heard, clock } = start();
  moves.came("s", true);
  arrives("2");
  clock.move(499);
  expect(heard).toEqual([]);
  clock.move(1);
  expect(heard).toEqual(["2"]);
  follow("1");
  follow();
  arrives("3");
  expect(heard).toEqual(["2", "1", "3"]);
});

test("S2: a session that goes leaves what was held, what still comes, and the word that this was all", () => {
  const { moves, arrives, goes, sent } = start();
  goes("b", false, "1", "2");
  arrives("3");
  expect(sent.splice(0)).toEqual([
    ["b", "1", "2"],
    ["b", "3"],
  ]);
  moves.heardOut("s", "a pair before");
  expect(sent).toEqual([]);
  moves.heardOut("s", "p");
  expect(sent).toEqual([["b"]]);
});

test.each([
  ["nothing more can come", true],
  ["the other side has heard of the move first", false],
])("S2: it is said at once where %s", (_, heardOut) => {
  const { moves, goes, sent } = start();
  if (!heardOut) moves.heardOut("s", "p");
  goes("b", heardOut);
  expect(sent).toEqual([["b"]]);
});

test("a node that does not know the session says so at once", () => {
  const { moves, sent } = start();
  moves.went("s", "b");
  expect(sent).toEqual([["b"]]);
});

test("S2: who goes on before all has come has that follow, in order", () => {
  const { moves, arrives, follow, goes, sent } = start();
  moves.came("s", true);
  arrives("3");
  goes("c", true);
  follow("1", "2");
  expect(sent).toEqual([
    ["c", "1"],
    ["c", "2"],
  ]);
  follow();
  expect(sent.slice(2)).toEqual([["c", "3"], ["c"]]);
});

test("S2: what waits is kept to the same bound as what is held", () => {
  const place = start();
  place.moves.came("s", true);
  for (let n = 0; n < 70; n += 1) place.arrives(`${n}`);
  place.follow();
  expect(place.heard).toHaveLength(64);
  expect(place.dropped).toBe(6);
});

test("what still comes for a session that was back and has ended goes round in no circle", () => {
  const place = start();
  place.goes("b", false);
  place.isHere = true;
  place.moves.came("s", false);
  place.isHere = false;
  place.arrives("late");
  place.follow("late, too");
  expect(place.sent).toEqual([]);
  // Who waits for the word there hears it all the same.
  place.moves.heardOut("s", "p");
  expect(place.sent).toEqual([["b"]]);
});

test("nothing follows a session for ever", () => {
  const { arrives, goes, sent, clock } = start();
  goes("b", false);
  clock.move(10_000);
  arrives("late");
  expect(sent).toEqual([]);
  expect(clock.pending).toBe(0);
});
