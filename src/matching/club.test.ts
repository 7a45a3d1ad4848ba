import { afterAll, beforeAll, expect, test } from "vitest";
import { Chance } from "../scenarios/simulation/chance.ts";
import type { Outcome, Wish } from "../session/match.ts";
import { startTestStore, visitor, wish } from "./test-pool.ts";
import type { TestPool, TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

const HOUR = 3_600_000;
/**
 * Anybody will do for anybody 10 s after the later of the two came (M4, M6). Of three who wait the two longest waiting
 * meet then, and the third waits for another 10 s with whoever comes next; more than that is rare.
 */
const ABOUT_20_S = 21_000;

interface Member {
  readonly asks: ReturnType<typeof visitor>;
  readonly wish: Wish;
  /** There while it waits: for how long somebody else did too so far, and which answer its timer belongs to. */
  waiting?: { inCompany: number; turn: number };
}

/** A club in which everybody presses Next again and again; all that happens, in the order of time. */
class Club {
  readonly members: Member[];
  matches = 0;
  /** The longest that somebody waited while somebody else did. */
  longest = 0;
  readonly #pool: TestPool;
  readonly #chance: Chance;
  readonly #agenda: { at: number; run: () => Promise<void> }[] = [];
  #turns = 0;

  constructor(pool: TestPool, wishes: Partial<Wish>[], seed: number) {
    this.#pool = pool;
    this.#chance = new Chance(seed);
    this.members = wishes.map((wished, n) => ({
      asks: visitor(pool.matcher, `member ${n}`),
      wish: wish(wished),
    }));
  }

  async play(ms: number): Promise<void> {
    const end = this.#pool.now + ms;
    for (const member of this.members) this.#later(this.#chance.whole(5_000), () => this.#ask(member));
    for (;;) {
      const next = this.#agenda.sort((a, b) => a.at - b.at).shift();
      if (!next || next.at > end) return;
      this.#passes(next.at - this.#pool.now);
      await next.run();
    }
  }

  #passes(ms: number): void {
    this.#pool.now += ms;
    const waiting = this.members.flatMap((member) => member.waiting ?? []);
    if (waiting.length < 2) return;
    for (const wait of waiting) {
      wait.inCompany += ms;
      this.longest = Math.max(this.longest, wait.inCompany);
    }
  }

  #later(after: number, run: () => Promise<void>): void {
    this.#agenda.push({ at: this.#pool.now + after, run });
  }

  async #ask(member: Member, leaving?: string): Promise<void> {
    this.#hear(member, await member.asks.find(member.wish, { leaving }));
  }

  #hear(member: Member, outcome: Outcome): void {
    if (outcome.kind === "waiting") {
      const turn = this.#turns++;
      member.waiting = { inCompany: member.waiting?.inCompany ?? 0, turn };
      this.#later(outcome.retryIn, async () => {
        if (member.waiting?.turn === turn) await this.#ask(member);
      });
    } else if (outcome.kind === "matched") {
      const { pair, partner } = outcome.match;
      const other = this.members.find(({ asks }) => asks.self.session === partner.session)!;
      this.matches += 1;
      delete member.waiting;
      delete other.waiting;
      const [ender, left] = this.#chance.happens(0.5) ? [member, other] : [other, member];
      this.#later(1_000 + this.#chance.whole(10_000), async () => {
        this.#later(this.#chance.whole(3_000), () => this.#ask(left));
        await this.#ask(ender, pair);
      });
    } else throw new Error(`nobody else asks here, but got ${outcome.kind}`);
  }
}

test.each([
  ["without wishes", [{}, {}, {}, {}, {}]],
  [
    "with wishes of their own",
    [{}, { interests: ["go"] }, { interests: ["art"] }, { languages: ["en"] }, { languages: ["fr"] }],
  ],
])("M4, M6: a club of five who press Next for an hour is never stuck, %s", async (_how, wishes) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const club = new Club(await store.pool(), wishes, seed);
    await club.play(HOUR);
    expect(club.longest).toBeLessThan(ABOUT_20_S);
    expect(club.matches).toBeGreaterThan(400);
  }
});
