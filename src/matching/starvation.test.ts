import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Match, Outcome, Wish } from "../session/match.ts";
import type { Holder, Rules } from "./matcher.ts";
import { RedisMatcher } from "./redis-matcher.ts";
import { DEFAULT_RULES } from "./rules.ts";
import { holder, startTestStore } from "./test-pool.ts";
import type { TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

/** M7: for how long two tickets that may be matched may both wait. */
const AT_ONCE = 1_000;
/** Short, so that recents and blocks end within a run. */
const RULES: Rules = { ...DEFAULT_RULES, recentFor: 40_000, blockFor: 25_000, lease: 1e9 };

interface Visitor {
  arrives: number;
  /** The wish of each of their finds; the last one again and again. */
  wishes: Wish[];
  /** How long each of their pairs lasts, if they are the ones to end it; and what they do then. */
  stays: { for: number; afterwards: "next" | "block" | "go" }[];
  /** How late their node's timers are. */
  late: number;
  device?: string;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  mode: fc.oneof({ weight: 4, arbitrary: fc.constant("video" as const) }, fc.constant("text" as const)),
  interests: fc.oneof(fc.constant([]), fc.shuffledSubarray(["art", "chess", "go"])),
  languages: fc.oneof(fc.constant([]), fc.shuffledSubarray(["en", "fr", "de"])),
  strict: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
});
const visitor: fc.Arbitrary<Visitor> = fc.record({
  arrives: fc.nat(30_000),
  wishes: fc.array(wish, { minLength: 1, maxLength: 3 }),
  stays: fc.array(
    fc.record({ for: fc.nat(20_000), afterwards: fc.constantFrom("next", "next", "block", "go") }),
    {
      maxLength: 4,
    },
  ),
  late: fc.nat(AT_ONCE),
  device: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.constant("shared")),
});

interface Ticket {
  since: number;
  wish: Wish;
  /** When it last asked: what gave way since then takes effect when it asks again. */
  asked: number;
}

/** Visitors and their nodes, played in simulated time against the real matcher. */
class Evening {
  #now = 0;
  readonly #matcher: RedisMatcher;
  readonly #events: { at: number; order: number; run: () => Promise<void> }[] = [];
  readonly #visitors: { plan: Visitor; self: Holder; finds: number; match?: Match; ticket?: Ticket }[];
  /** When two devices last parted, and until when they are blocked, by both names. */
  readonly #parted = new Map<string, number>();
  readonly #blocked = new Map<string, number>();
  /** Since when two tickets that wait may be matched, by both names. */
  #allowed = new Map<string, number>();
  #order = 0;

  constructor(plans: Visitor[]) {
    const now = () => this.#now;
    this.#matcher = new RedisMatcher({
      redis: { client: store.redis },
      prefix: randomUUID(),
      rules: RULES,
      // As many as there are visitors: that a device has fewer is not the point here.
      mostPlaces: 10,
      now,
    });
    this.#visitors = plans.map((plan, n) => ({
      plan,
      self: holder(`visitor ${n}`, plan.device ? { device: plan.device } : {}),
      finds: 0,
    }));
  }

  async play(): Promise<void> {
    await this.#matcher.renew("a", { online: 0, waiting: 0 });
    for (const [n, { plan }] of this.#visitors.entries()) this.#at(plan.arrives, () => this.#find(n));
    for (let steps = 0; steps < 300; steps++) {
      const next = this.#events.sort((a, b) => a.at - b.at || a.order - b.order).shift();
      if (!next || next.at > 120_000) return;
      // Nothing has changed since the last event but the time.
      this.#now = next.at;
      this.#check();
      await next.run();
      this.#check();
    }
  }

  #at(at: number, run: () => Promise<void>): void {
    this.#events.push({ at, order: this.#order++, run });
  }

  async #find(n: number, leaving?: string): Promise<void> {
    const me = this.#visitors[n]!;
    const wish = me.plan.wishes[Math.min(me.finds++, me.plan.wishes.length - 1)]!;
    this.#hear(n, wish, await this.#matcher.find(me.self, { wish, leaving }));
  }

  #hear(n: number, wish: Wish, outcome: Outcome): void {
    const me = this.#visitors[n]!;
    if (outcome.kind === "matched") {
      me.match = outcome.match;
      const other = this.#visitors.findIndex(({ self }) => self.session === outcome.match.partner.session);
      this.#checkOrder(n, other, { since: this.#now - outcome.waited, wish, asked: this.#now });
      this.#visitors[other]!.match = outcome.match;
      for (const member of [n, other]) delete this.#visitors[member]!.ticket;
      this.#plan(n, other, outcome.match.pair);
    } else if (outcome.kind === "waiting") {
      const ticket = { since: outcome.since, wish, asked: this.#now };
      me.ticket = ticket;
      // The node's timer; it has no meaning any more once the ticket is another or gone.
      this.#at(this.#now + outcome.retryIn + me.plan.late, async () => {
        if (me.ticket === ticket) this.#hear(n, wish, await this.#matcher.find(me.self, { wish }));
      });
    } else {
      throw new Error(`nobody else asks here, but got ${JSON.stringify(outcome)}`);
    }
  }

  /** The one who stays less ends the pair; the other one asks again a second later. */
  #plan(a: number, b: number, pair: string): void {
    const stay = (n: number) =>
      this.#visitors[n]!.plan.stays[0] ?? { for: Infinity, afterwards: "go" as const };
    const [ender, other] = stay(a).for <= stay(b).for ? [a, b] : [b, a];
    const { for: lasts, afterwards } = stay(ender);
    if (lasts === Infinity) return;
    this.#visitors[ender]!.plan.stays.shift();
    this.#at(this.#now + lasts, async () => {
      const [me, them] = [this.#visitors[ender]!, this.#visitors[other]!];
      const key = both(me.self.device, them.self.device);
      this.#parted.set(key, this.#now);
      delete them.match;
      delete me.match;
      if (afterwards === "block") {
        await this.#matcher.block(me.self, pair);
        this.#blocked.set(key, this.#now + RULES.blockFor);
        await this.#find(ender);
      } else if (afterwards === "next") {
        await this.#find(ender, pair);
      } else {
        await this.#matcher.end(me.self);
      }
      this.#at(this.#now + 1_000, () => this.#find(other));
    });
  }

  /** M7, from the rules alone: when any two who wait became allowed, and that it is not long ago. */
  #check(): void {
    const allowed = new Map<string, number>();
    const waiting = this.#visitors.filter(({ ticket }) => ticket);
    for (const [i, a] of waiting.entries()) {
      for (const b of waiting.slice(i + 1)) {
        if (!this.#mayMeet(a.self.device, a.ticket!, b.self.device, b.ticket!)) continue;
        const key = both(a.self.session, b.self.session);
        const since = this.#allowed.get(key) ?? this.#now;
        allowed.set(key, since);
        if (this.#now - since > AT_ONCE) {
          throw new Error(`${key} may be matched since ${since}, and still wait at ${this.#now}`);
        }
      }
    }
    this.#allowed = allowed;
  }

  /** M4, M5, M7, from the rules alone: of those who might be taken nobody goes before the one who was. */
  #checkOrder(asking: number, taken: number, mine: Ticket): void {
    const me = this.#visitors[asking]!.self;
    const rankOf = ({ self, ticket }: { self: Holder; ticket?: Ticket }): number[] | undefined => {
      if (!ticket || self === me) return undefined;
      if (!this.#mayMeet(me.device, mine, self.device, ticket, ticket.asked)) return undefined;
      const shared = (what: "interests" | "languages") =>
        mine.wish[what].filter((one) => ticket.wish[what].includes(one)).length;
      const isNew = this.#areRecent(me.device, self.device) ? 0 : 1;
      return [isNew, shared("interests"), Math.min(1, shared("languages")), this.#now - ticket.since];
    };
    const best = rankOf(this.#visitors[taken]!);
    if (!best) throw new Error(`${me.session} was given ${taken} at ${this.#now}, whom they may not meet`);
    for (const other of this.#visitors) {
      const rank = rankOf(other);
      const differs = rank?.findIndex((part, at) => part !== best[at]) ?? -1;
      if (rank && differs >= 0 && rank[differs]! > best[differs]!) {
        const both = `${JSON.stringify(rank)} goes before ${JSON.stringify(best)}`;
        throw new Error(
          `${me.session} was given ${taken} at ${this.#now}, but ${other.self.session}: ${both}`,
        );
      }
    }
  }

  #areRecent(aDevice: string, bDevice: string): boolean {
    return (this.#parted.get(both(aDevice, bDevice)) ?? -Infinity) + RULES.recentFor > this.#now;
  }

  /** @param asked as of when b's preferences count */
  #mayMeet(aDevice: string, a: Ticket, bDevice: string, b: Ticket, asked = this.#now): boolean {
    if (a.wish.mode !== b.wish.mode) return false;
    if (aDevice === bDevice || (this.#blocked.get(both(aDevice, bDevice)) ?? 0) > this.#now) return false;
    const waited = [this.#now - a.since, asked - b.since] as const;
    const youngest = this.#now - Math.max(a.since, b.since);
    if (this.#areRecent(aDevice, bDevice) && youngest < RULES.recentAfter) return false;
    const content = (what: "interests" | "languages", after: number): boolean => {
      const insists = ({ wish }: Ticket, time: number) =>
        wish[what].length > 0 && (wish.strict || time < after);
      const shared = a.wish[what].some((one) => b.wish[what].includes(one));
      return shared || (!insists(a, waited[0]) && !insists(b, waited[1]));
    };
    return content("interests", RULES.interestsAfter) && content("languages", RULES.languagesAfter);
  }
}

const both = (a: string, b: string): string => [a, b].sort().join(" and ");

test(
  "M5, M7: no two tickets that may be matched wait for more than a second, and whoever goes first is taken first",
  { timeout: 120_000 },
  async () => {
    const evening = fc.asyncProperty(
      fc.array(visitor, { minLength: 2, maxLength: 10, size: "max" }),
      (plans) => new Evening(structuredClone(plans)).play(),
    );
    const seed = fc.readConfigureGlobal().seed!;
    const streams = [1, 2, 3, 4].map((n) => fc.assert(evening, { numRuns: 100, seed: seed + n }));
    await Promise.all(streams);
    expect(streams).toHaveLength(4);
  },
);
