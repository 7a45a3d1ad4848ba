/** Plays days of visitors against one policy, event by event, in simulated time. */
import type { Policy } from "./policies.ts";
import { chatLength, DAY, reaction, seeded, visitorsOf } from "./visitors.ts";
import type { Community, Visitor } from "./visitors.ts";

export interface Findings {
  /** How long everybody waited, for a partner or until they gave up, in ms, ascending. */
  waits: number[];
  /** The longest wait of somebody who did not insist for ever. */
  longest: number;
  matches: number;
  /** Matches of two who had parted less than 30 min before. */
  rematches: number;
  /** Matches with an interest in common, and those in which both had named some. */
  sharing: number;
  couldShare: number;
  /** Waits that ended without a partner. */
  gaveUp: number;
  finds: number;
}

interface Pair {
  id: string;
  members: readonly [Person, Person];
}
interface Person extends Visitor {
  waitingSince?: number;
  pair?: Pair;
  gone: boolean;
  /** Counts what they do, so that a timer of an earlier state is known as such. */
  turn: number;
}

const REMATCH = 30 * 60_000;

export interface Clock {
  now: number;
}

/** @param clock is moved; a matcher that is played against reads it */
export async function play(
  community: Community,
  policy: Policy,
  clock: Clock,
  seed: number,
): Promise<Findings> {
  const run = new Run(policy, clock, seed);
  for (let day = 0; day < community.days; day++) {
    await run.day(community, visitorsOf(community, day, seeded(seed + day)), day);
  }
  run.findings.waits.sort((a, b) => a - b);
  return run.findings;
}

class Run {
  readonly findings: Findings = {
    waits: [],
    longest: 0,
    matches: 0,
    rematches: 0,
    sharing: 0,
    couldShare: 0,
    gaveUp: 0,
    finds: 0,
  };
  readonly #policy: Policy;
  readonly #clock: Clock;
  readonly #seed: number;
  #agenda = new Agenda();
  #people = new Map<string, Person>();
  #parted = new Map<string, number>();
  #counts = 0;

  constructor(policy: Policy, clock: Clock, seed: number) {
    this.#policy = policy;
    this.#clock = clock;
    this.#seed = seed;
  }

  async day(community: Community, visitors: Visitor[], day: number): Promise<void> {
    // What chance decides after the arrivals differs between policies anyway: it depends on who meets whom.
    const random = seeded(this.#seed * 31 + day);
    const dawn = day * DAY;
    this.#counts = dawn + community.counts;
    const end = dawn + community.to;
    this.#agenda = new Agenda();
    this.#people = new Map();
    this.#parted = new Map();
    for (const visitor of visitors) {
      const person: Person = { ...visitor, gone: false, turn: 0 };
      this.#people.set(visitor.name, person);
      this.#agenda.add(visitor.arrives, () => this.#ask(person, random));
    }
    for (;;) {
      const event = this.#agenda.next();
      // After the end of a whole day everybody goes home as they would; a part of a day just stops.
      if (!event || (event.at >= end && community.to < DAY)) break;
      this.#clock.now = event.at;
      await event.run();
    }
    for (const person of this.#people.values()) if (!person.gone) await this.#policy.go(person);
  }

  async #ask(person: Person, random: () => number, leaving?: string): Promise<void> {
    const now = this.#clock.now;
    this.findings.finds++;
    const waits = person.waitingSince !== undefined;
    const answer = await this.#policy.ask(person, leaving);
    if ("partner" in answer) {
      this.#match(person, this.#people.get(answer.partner)!, answer.pair, random);
      return;
    }
    if (!waits) {
      person.waitingSince = now;
      person.turn++;
      const turn = person.turn;
      const until = Math.min(now + person.patience, Math.max(person.leaves, now));
      this.#agenda.add(until, async () => {
        if (person.turn !== turn) return;
        if (until >= this.#counts) {
          this.findings.gaveUp++;
          this.#noteWait(person);
        }
        await this.#go(person);
      });
    }
    if (answer.retryIn === undefined) return;
    const turn = person.turn;
    this.#agenda.add(now + answer.retryIn, async () => {
      if (person.turn === turn && person.waitingSince !== undefined) await this.#ask(person, random);
    });
  }

  #match(a: Person, b: Person, id: string, random: () => number): void {
    const now = this.#clock.now;
    const pair: Pair = { id, members: [a, b] };
    if (now >= this.#counts) this.#note(a, b);
    for (const person of pair.members) {
      person.pair = pair;
      delete person.waitingSince;
      person.turn++;
    }
    const length = chatLength(random);
    this.#agenda.add(now + length, () => this.#part(pair, random));
  }

  #note(a: Person, b: Person): void {
    const { findings } = this;
    const now = this.#clock.now;
    findings.matches++;
    for (const person of [a, b]) this.#noteWait(person);
    const parted = this.#parted.get(both(a, b));
    if (parted !== undefined && now - parted < REMATCH) findings.rematches++;
    if (a.wish.interests.length > 0 && b.wish.interests.length > 0) findings.couldShare++;
    if (a.wish.interests.some((interest) => b.wish.interests.includes(interest))) findings.sharing++;
  }

  #noteWait({ waitingSince = this.#clock.now, wish }: Person): void {
    const waited = this.#clock.now - waitingSince;
    this.findings.waits.push(waited);
    if (!wish.strict) this.findings.longest = Math.max(this.findings.longest, waited);
  }

  /** One of the two ends it, by Next or because they have had enough; the other asks again after a moment. */
  async #part(pair: Pair, random: () => number): Promise<void> {
    const now = this.#clock.now;
    this.#remember(both(...pair.members));
    const [ender, other] = random() < 0.5 ? pair.members : [pair.members[1], pair.members[0]];
    for (const person of pair.members) {
      delete person.pair;
      person.turn++;
    }
    const turn = other.turn;
    this.#agenda.add(now + reaction(random), async () => {
      if (other.turn !== turn || other.gone) return;
      if (this.#clock.now >= other.leaves) await this.#go(other);
      else await this.#ask(other, random);
    });
    if (now >= ender.leaves) await this.#go(ender);
    else await this.#ask(ender, random, pair.id);
  }

  /** In the order of time, so that what is no rematch any more stands first and goes: a day has millions. */
  #remember(pair: string): void {
    const now = this.#clock.now;
    this.#parted.delete(pair);
    this.#parted.set(pair, now);
    for (const [oldest, at] of this.#parted) {
      if (now - at < REMATCH) break;
      this.#parted.delete(oldest);
    }
  }

  async #go(person: Person): Promise<void> {
    person.gone = true;
    person.turn++;
    delete person.waitingSince;
    await this.#policy.go(person);
  }
}

const both = (a: Person, b: Person): string =>
  a.name < b.name ? `${a.name} and ${b.name}` : `${b.name} and ${a.name}`;

interface Event {
  at: number;
  order: number;
  run: () => Promise<void>;
}

/** What is to happen, earliest first, of the same time as it came: a binary heap. */
class Agenda {
  readonly #heap: Event[] = [];
  #order = 0;

  add(at: number, run: () => Promise<void>): void {
    const heap = this.#heap;
    const event = { at, order: this.#order++, run };
    let place = heap.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = event;
  }

  next(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
