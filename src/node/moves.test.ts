import fc from "fast-check";
import { expect, test } from "vitest";
import type { Envelope } from "../links/link.ts";
import type { Signal } from "../session/note.ts";
import { StillClock } from "../still-clock.ts";
import { Moves } from "./moves.ts";

const signal = (text: string, epoch: number, pair = "p"): Signal => ({
  type: "signal",
  pair,
  epoch,
  raw: Buffer.from(text),
});
const raw = (...texts: string[]) => texts.map((text) => Buffer.from(text));

/** Where `session` is here until `isHere` is taken back. */
function start() {
  const clock = new StillClock();
  const heard: string[] = [];
  const sent: [to: string, epoch: number, ...frames: string[]][] = [];
  const place = { clock, heard, sent, isHere: true, dropped: 0 };
  const send = (to: string, envelope: Envelope): boolean => {
    if (envelope.kind === "held") sent.push([to, envelope.epoch, ...envelope.frames.map(String)]);
    return true;
  };
  const parts = { clock, link: { send }, metrics: { heldDropped: () => void (place.dropped += 1) } };
  const moves = new Moves(parts, {
    epochOf: () => 1,
    give(_session, { raw }) {
      if (place.isHere) heard.push(String(raw));
    },
    onAllHere() {},
  });
  return Object.assign(place, {
    moves,
    came: (epoch: number, asked = true) => moves.came("s", epoch, asked ? "p" : undefined),
    arrives: (text: string, epoch: number) => moves.arrived("s", signal(text, epoch)),
    follow: (epoch: number, ...texts: string[]) => moves.followed("s", epoch, "p", raw(...texts)),
    goes: (epoch: number, node: string, ...held: string[]) => {
      place.isHere = false;
      moves.left("s", { epoch, pair: "p", held: raw(...held) });
      moves.went("s", { node, epoch: epoch + 1 });
    },
  });
}

test("S2: what overtakes what was held where the session was waits for that, and for what still came there", () => {
  const { came, arrives, follow, heard } = start();
  arrives("0", 1);
  came(2);
  arrives("4", 2);
  follow(2, "1", "2");
  arrives("5", 2);
  follow(2, "3");
  expect(heard).toEqual(["0", "1", "2", "3"]);
  follow(2);
  arrives("6", 2);
  expect(heard).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
});

test("S2: it does not wait for ever for a node that hangs, and what that sends after all is not lost", () => {
  const { came, arrives, follow, heard, clock } = start();
  came(2);
  arrives("2", 2);
  clock.move(499);
  expect(heard).toEqual([]);
  clock.move(1);
  expect(heard).toEqual(["2"]);
  follow(2, "1");
  follow(2);
  arrives("3", 2);
  expect(heard).toEqual(["2", "1", "3"]);
});

test("S2: a session that goes leaves what was held, what still comes, and the word that this was all", () => {
  const { moves, arrives, goes, sent } = start();
  goes(1, "b", "1", "2");
  arrives("3", 1);
  expect(sent.splice(0)).toEqual([
    ["b", 2, "1"],
    ["b", 2, "2"],
    ["b", 2, "3"],
  ]);
  moves.heardOut("s", 1, "a pair before");
  expect(sent).toEqual([]);
  moves.heardOut("s", 1, "p");
  moves.heardOut("s", 1, "p");
  expect(sent).toEqual([["b", 2]]);
});

test("S2: it is said at once where the other side has heard of the move first", () => {
  const { moves, goes, sent } = start();
  moves.heardOut("s", 1, "p");
  goes(1, "b");
  expect(sent).toEqual([["b", 2]]);
});

test("S2: who goes on before all has come has that follow, in order", () => {
  const { moves, came, arrives, follow, goes, sent } = start();
  came(2);
  arrives("3", 2);
  goes(2, "c");
  moves.heardOut("s", 2, "p");
  follow(2, "1", "2");
  expect(sent).toEqual([
    ["c", 3, "1"],
    ["c", 3, "2"],
  ]);
  follow(2);
  expect(sent.slice(2)).toEqual([
    ["c", 3, "3"],
    ["c", 3],
  ]);
});

test("S2: what waits is kept to the same bound as what is held", () => {
  const place = start();
  place.came(2);
  for (let n = 0; n < 70; n += 1) place.arrives(`${n}`, 2);
  place.follow(2);
  expect(place.heard).toHaveLength(64);
  expect(place.dropped).toBe(6);
});

test("S2: who is back before that is heard of still has what was held here, when it is heard of or after a while", () => {
  for (const isHeardOf of [true, false]) {
    const { moves, came, arrives, follow, heard, sent, clock } = start();
    moves.left("s", { epoch: 1, pair: "p", held: raw("1") });
    came(3);
    arrives("2", 1);
    arrives("3", 3);
    expect(heard).toEqual([]);
    if (isHeardOf) {
      moves.went("s", { node: "b", epoch: 2 });
      expect(sent).toEqual([
        ["b", 2, "1"],
        ["b", 2, "2"],
      ]);
      follow(3, "1", "2");
      follow(3);
    } else clock.move(500);
    expect(heard).toEqual(["1", "2", "3"]);
  }
});

test("what still comes for a session that was back and has ended goes round in no circle", () => {
  const place = start();
  place.goes(1, "b");
  place.came(3, false);
  place.arrives("late", 3);
  place.follow(3, "late, too");
  expect(place.sent).toEqual([]);
  // Who waits for the word there hears it all the same.
  place.moves.heardOut("s", 1, "p");
  expect(place.sent).toEqual([["b", 2]]);
});

test("S2: what is for a stay that is forgotten goes on from the one after it; that this was all is said to its own", () => {
  const { came, arrives, follow, heard, goes, sent } = start();
  came(3);
  arrives("2", 3);
  follow(2, "1");
  follow(2);
  expect(heard).toEqual(["1"]);
  goes(3, "b");
  arrives("3", 1);
  expect(sent).toEqual([]);
  follow(3);
  expect(sent).toEqual([
    ["b", 4, "2"],
    ["b", 4, "3"],
  ]);
});

test("nothing follows a session for ever", () => {
  const { arrives, goes, sent, clock } = start();
  goes(1, "b");
  clock.move(10_000);
  arrives("late", 1);
  expect(sent).toEqual([]);
  expect(clock.pending).toBe(0);
});

test("S2: what was held goes on with a session that was back and has gone again, where nobody says what was between", () => {
  const { moves, came, goes, sent, heard, clock } = start();
  moves.left("s", { epoch: 1, pair: "p", held: raw("1") });
  came(3);
  goes(3, "c");
  clock.move(500);
  expect([heard, sent]).toEqual([[], [["c", 4, "1"]]]);
});

/**
 * A session that hops between nodes, and the other side of its pair, which sends it numbers from a node of its own. What
 * one node, or the store, tells another comes in order, and when it comes is for chance to say. No time passes: nothing is
 * given up.
 */
class Hops {
  readonly heard: number[] = [];
  sent = 0;
  readonly #clock = new StillClock();
  /** What is under way from one place to another. */
  readonly #ways = new Map<string, (() => void)[]>();
  readonly #nodes = ["a", "b", "c"].map((name) => this.#node(name));
  /** Where the session is, as the store knows it, the nodes that hold it, and its other side. */
  #holder = { node: 0, epoch: 1 };
  readonly #seats = new Map([[0, { epoch: 1, held: [] as Uint8Array[] }]]);
  #known = this.#holder;

  #node(name: string): Moves {
    const here = name.charCodeAt(0) - 97;
    const send = (to: string, envelope: Envelope): boolean => {
      if (envelope.kind !== "held") return false;
      const { epoch, pair, frames } = envelope;
      const other = to.charCodeAt(0) - 97;
      this.#tell(here, other, () => this.#nodes[other]!.followed("s", epoch, pair, frames));
      return true;
    };
    return new Moves(
      { clock: this.#clock, link: { send }, metrics: { heldDropped() {} } },
      {
        epochOf: () => this.#seats.get(here)?.epoch ?? 0,
        give: (_, { raw }) => void this.#seats.get(here)?.held.push(raw),
        onAllHere() {},
      },
    );
  }

  #tell(from: number | "other side" | "store", to: number | "other side", what: () => void): void {
    const way = `${from} ${to}`;
    this.#ways.set(way, [...(this.#ways.get(way) ?? []), what]);
  }

  say(): void {
    const note = signal(`${this.sent++}`, this.#known.epoch);
    const { node } = this.#known;
    this.#tell("other side", node, () => this.#nodes[node]!.arrived("s", note));
  }

  /** The visitor, who was cut off, connects to that node, which takes the session over. */
  hop(node: number): void {
    const { node: before, epoch: old } = this.#holder;
    // More often within ten seconds, and what comes too late for the first stays is given up.
    if (node === before || old > 30) return;
    const moves = this.#nodes[node]!;
    const epoch = old + 1;
    this.#holder = { node, epoch };
    this.#tell("store", node, () => {
      const older = this.#seats.get(node);
      if (older) moves.left("s", { ...older, pair: "p" });
      this.#seats.set(node, { epoch, held: [] });
      this.#tell(node, before, () => this.#tookOver(before, { node, epoch }));
      if (moves.came("s", epoch, "p")) {
        moves.left("s", { epoch, held: [], pair: "p" });
        this.#seats.delete(node);
      }
      this.#tell(node, "other side", () => this.#moved({ node, epoch }));
    });
  }

  /** The other side asks the store. */
  ask(): void {
    const there = this.#holder;
    this.#tell("store", "other side", () => this.#moved(there));
  }

  #tookOver(node: number, to: { node: number; epoch: number }): void {
    const seat = this.#seats.get(node);
    const stay = { node: "abc"[to.node]!, epoch: to.epoch };
    const isHere = seat !== undefined && seat.epoch < to.epoch;
    this.#nodes[node]!.went("s", stay);
    if (isHere) this.#nodes[node]!.left("s", { ...seat, pair: "p" });
    if (isHere) this.#seats.delete(node);
  }

  #moved(to: { node: number; epoch: number }): void {
    if (to.epoch === this.#known.epoch) return;
    const [older, newer] = to.epoch < this.#known.epoch ? [to, this.#known] : [this.#known, to];
    this.#known = newer;
    this.#tell("other side", older.node, () => this.#nodes[older.node]!.heardOut("s", older.epoch, "p"));
  }

  /** The visitor takes what has come where it is. */
  take(): void {
    const seat = this.#seats.get(this.#holder.node);
    if (seat?.epoch !== this.#holder.epoch) return;
    this.heard.push(...seat.held.splice(0).map((raw) => Number(raw)));
  }

  /** Something that is under way arrives; answers whether there was anything. */
  arrive(chance: number): boolean {
    const ways = [...this.#ways].filter(([, queue]) => queue.length > 0);
    ways[chance % ways.length]?.[1].shift()!();
    return ways.length > 0;
  }
}

test("S2: whoever hops however fast misses no signal, gets none twice, and all in order", () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 2, arbitrary: fc.constant("say" as const) },
      { weight: 1, arbitrary: fc.constant("take" as const) },
      { weight: 1, arbitrary: fc.constant("ask" as const) },
      { weight: 1, arbitrary: fc.record({ hop: fc.nat(2) }) },
      { weight: 4, arbitrary: fc.record({ arrive: fc.nat(100) }) },
    ),
    { maxLength: 120, size: "max" },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const hops = new Hops();
      for (const step of all) {
        if (step === "say") hops.say();
        else if (step === "take") hops.take();
        else if (step === "ask") hops.ask();
        else if ("hop" in step) hops.hop(step.hop);
        else hops.arrive(step.arrive);
      }
      while (hops.arrive(0));
      hops.take();
      expect(hops.heard).toEqual(Array.from({ length: hops.sent }, (_, n) => n));
    }),
    { numRuns: Number(process.env["CHATRANDOM_MOVES_RUNS"] ?? 2_000) },
  );
});
