/**
 * Who comes on a simulated day, when, what they wish and how long they stay. All numbers are assumptions, and all of
 * them stand here; the same seed gives the same visitors.
 */
import type { Wish } from "../../src/session/match.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export interface Visitor {
  name: string;
  arrives: number;
  /** When they have had enough; they finish the chat they are in. */
  leaves: number;
  /** For how long they wait for a partner before they give up and go. */
  patience: number;
  wish: Wish;
}

export interface Community {
  visitors: number;
  /** Simulated one after the other, so that few visitors make many matches too. */
  days: number;
  /** The part of the day that is simulated, and from when on it counts (before that the place fills). */
  from: number;
  counts: number;
  to: number;
}

export const COMMUNITIES: readonly Community[] = [
  { visitors: 2, days: 200, from: 0, counts: 0, to: DAY },
  { visitors: 5, days: 100, from: 0, counts: 0, to: DAY },
  { visitors: 50, days: 10, from: 0, counts: 0, to: DAY },
  { visitors: 5_000, days: 1, from: 0, counts: 0, to: DAY },
  // A whole day takes an hour or more: half an hour of the evening, of which the last ten minutes count.
  { visitors: 500_000, days: 1, from: 20.5 * HOUR, counts: 20.84 * HOUR, to: 21 * HOUR },
];

/** The same, from midnight to midnight. */
export const wholeDay = (community: Community): Community => ({ ...community, from: 0, counts: 0, to: DAY });

export type Random = () => number;

/** mulberry32: small, fast, and the same everywhere. Numbers from 0 to 1. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const logNormal = (random: Random, median: number, sigma: number): number =>
  median * Math.exp(sigma * normal(random));
export const exponential = (random: Random, mean: number): number => -mean * Math.log(1 - random());

/** The shares of `count` things of which the first is wished most: 1, 1/2, 1/3 … */
function zipf(count: number): (random: Random) => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sums.push((sum += 1 / rank));
  return (random) => {
    const at = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
const interest = zipf(300);
const language = zipf(12);

/** A third wish nothing; the others 1 to 4 of 300 interests. Two in five name languages, one or two of 12. 5 % insist. */
function wish(random: Random): Wish {
  const interests = new Set<string>();
  const languages = new Set<string>();
  if (random() > 1 / 3) {
    const count = 1 + Math.floor(4 * random());
    while (interests.size < count) interests.add(`interest ${interest(random)}`);
  }
  if (random() < 0.4) {
    const count = random() < 0.7 ? 1 : 2;
    while (languages.size < count) languages.add(`l${language(random)}`);
  }
  const mode = random() < 0.8 ? "video" : "text";
  return { mode, interests: [...interests], languages: [...languages], strict: random() < 0.05 };
}

/**
 * Up to 100 visitors are a club that has agreed on an evening: they come at nine give or take 10 min, stay for about
 * 45 min, speak with each other in one mode, and do not give up. More are the public: they come all day, at nine in
 * the evening nine times as many as at nine in the morning, stay for about 15 min, and give up after about 2 min.
 */
export function visitorsOf(community: Community, day: number, random: Random): Visitor[] {
  const club = community.visitors <= 100;
  const all: Visitor[] = [];
  for (let n = 0; n < community.visitors; n++) {
    const arrives = club ? 21 * HOUR + normal(random) * 10 * MINUTE : publicArrival(random);
    const stays = club ? logNormal(random, 45 * MINUTE, 0.5) : logNormal(random, 15 * MINUTE, 0.8);
    const patience = club ? Infinity : logNormal(random, 2 * MINUTE, 0.7);
    const wished = wish(random);
    if (arrives < community.from || arrives >= community.to) continue;
    all.push({
      name: `visitor ${n} of day ${day}`,
      arrives: Math.round(arrives + day * DAY),
      leaves: Math.round(arrives + stays + day * DAY),
      patience: Math.round(patience),
      wish: club ? { ...wished, mode: "video" } : wished,
    });
  }
  return all;
}

function publicArrival(random: Random): number {
  for (;;) {
    const at = random() * DAY;
    if (random() * 1.8 < 1 + 0.8 * Math.cos((2 * Math.PI * (at - 21 * HOUR)) / DAY)) return at;
  }
}

/** How long a chat lasts: three in five are skipped after some seconds, the others go on for about a minute and a half. */
export function chatLength(random: Random): number {
  const length = random() < 0.6 ? exponential(random, 8 * SECOND) : logNormal(random, 90 * SECOND, 1);
  return Math.round(SECOND + Math.min(length, 2 * HOUR));
}

/** How long somebody who was left needs to press Start again. */
export const reaction = (random: Random): number => Math.round(500 + exponential(random, 2 * SECOND));
