import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Find, Match, Outcome, Wish } from "../session/match.ts";
import type { Holder, Matcher, Rules } from "./matcher.ts";
import { ModelMatcher } from "./model.ts";
import { RedisMatcher } from "./redis-matcher.ts";
import { DEFAULT_RULES } from "./rules.ts";
import { startTestStore } from "./test-pool.ts";
import type { TestStore } from "./test-pool.ts";

/**
 * Random sequences run against the model and against the Lua on a real server, side by side, and every answer is
 * compared. `CHATRANDOM_MODEL_RUNS` says how many sequences (20,000 by default), `CHATRANDOM_SEED` which.
 */
const RUNS = Number(process.env["CHATRANDOM_MODEL_RUNS"] ?? 20_000);
/** Sequences under way at once, so that neither this process nor the server waits for the other. */
const STREAMS = 8;

const RULES: Rules = { ...DEFAULT_RULES, recentMost: 1 };
/** Leases run out only when `retire` says so, which keeps most of what follows about visitors. */
const ENDLESS: Partial<Rules> = { lease: 1e12 };
const MOST_BLOCKS = 1;
const MOST_PLACES = 2;
const NODES = ["a", "b", "c"];
/** The last three share a device, as tabs do, and one more of them than may wait at a time. */
const SESSIONS = ["s1", "s2", "s3", "s4", "s5", "s6"];
const deviceOf = (session: string): string => (session > "s4" ? "d4" : session.replace("s", "d"));

type Command =
  | { do: "open" | "leave" | "end" | "absent"; who: string; stale: boolean }
  | { do: "retry"; who: string; stale: boolean; avoid: string[] }
  | { do: "restore"; who: string; stale: boolean }
  | { do: "find" | "undo"; who: string; stale: boolean; wish: Wish; pair: Which; avoid: string[] }
  | { do: "block"; who: string; stale: boolean; pair: Which }
  | { do: "resume"; who: string; node: string; here: boolean }
  | { do: "pass"; ms: number }
  | { do: "retire" | "renew" | "reap"; node: string }
  | { do: "census" }
  | { do: "lose" };
/** Which of the pairs that a session was ever in a command names. */
type Which = "none" | "current" | "previous";

const subset = (of: string[]): fc.Arbitrary<string[]> => fc.shuffledSubarray(of);
const wish: fc.Arbitrary<Wish> = fc.record({
  mode: fc.oneof({ weight: 9, arbitrary: fc.constant("video" as const) }, fc.constant("text" as const)),
  interests: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, subset(["art", "b:c", "chess", "go"])),
  languages: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, subset(["en", "fr"])),
  strict: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
});
const who = fc.constantFrom(...SESSIONS);
const node = fc.constantFrom(...NODES);
const avoid: fc.Arbitrary<string[]> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<string[]>([]) },
  subset(NODES),
);
const stale = fc.oneof({ weight: 19, arbitrary: fc.constant(false) }, fc.constant(true));
const which = fc.constantFrom<Which[]>("current", "current", "none", "previous");
const ms = fc.oneof(
  fc.constantFrom(0, 1, 4_999, 5_000, 5_001, 10_000, 19_999, 20_000, 60_000, 300_000, 1_800_000, 86_400_000),
  fc.integer({ min: 0, max: 20_000 }),
);
const only = <const T extends string>(...names: T[]) => fc.constantFrom(...names);
const weighted = (weight: number, arbitrary: fc.Arbitrary<Command>) => ({ weight, arbitrary });
const command = fc.oneof(
  weighted(120, fc.record({ do: only("find"), who, stale, wish, pair: which, avoid })),
  weighted(40, fc.record({ do: only("retry"), who, stale, avoid })),
  weighted(50, fc.record({ do: only("pass"), ms })),
  weighted(15, fc.record({ do: only("undo"), who, stale, wish, pair: which, avoid })),
  weighted(20, fc.record({ do: only("leave", "absent", "open", "end"), who, stale })),
  weighted(15, fc.record({ do: only("restore"), who, stale })),
  weighted(30, fc.record({ do: only("block"), who, stale, pair: which })),
  weighted(15, fc.record({ do: only("resume"), who, node, here: fc.boolean() })),
  weighted(25, fc.record({ do: only("retire", "renew", "renew", "reap"), node })),
  weighted(5, fc.record({ do: only("census") })),
  weighted(3, fc.record({ do: only("lose") })),
);

/** What the nodes would know: who holds what, and which pairs and places they have heard of. */
class Play {
  now = 1_750_000_000_000;
  pairs = 0;
  model!: Matcher;
  redis!: Matcher;
  readonly #store: TestStore;
  readonly #rules: Rules;
  /** The node that does not renew its lease as time passes, in plays with real leases. */
  readonly #silent: string | undefined;
  readonly #holders = new Map<string, Holder[]>();
  readonly #seen = new Map<string, string[]>();
  readonly #matches = new Map<string, Match>();
  readonly #asked = new Map<string, Find>();
  /** Each answer of the model, and the promise of the store's to the same question. */
  readonly #answers: { asked: string; expected: unknown; answer: Promise<unknown> }[] = [];

  constructor(store: TestStore, silent?: string) {
    this.#store = store;
    this.#silent = silent;
    this.#rules = silent ? RULES : { ...RULES, ...ENDLESS };
    for (const [n, session] of SESSIONS.entries()) {
      const node = NODES[n % NODES.length]!;
      this.#holders.set(session, [{ session, node, epoch: 1, device: deviceOf(session) }]);
    }
    this.#lose();
  }

  #lose(): void {
    const options = {
      rules: this.#rules,
      mostBlocks: MOST_BLOCKS,
      mostPlaces: MOST_PLACES,
      now: () => this.now,
      newPair: () => `pair ${this.pairs}`,
    };
    this.model = new ModelMatcher(options);
    const redis = { client: this.#store.redis };
    this.redis = new RedisMatcher({ ...options, redis, prefix: randomUUID() });
  }

  /** Asks both. The store's answer is awaited at the end: what is asked next depends on the model's alone. */
  async both<T>(asked: string, ask: (matcher: Matcher) => Promise<T>): Promise<T> {
    this.pairs++;
    const expected = await ask(this.model);
    const answer = ask(this.redis);
    answer.catch(() => undefined); // Looked at in `compare`.
    this.#answers.push({ asked, expected, answer });
    return expected;
  }

  async compare(): Promise<void> {
    const asked = this.#answers.map((each) => each.asked);
    for (const [at, { expected, answer }] of this.#answers.entries()) {
      const actual = await answer;
      // Much cheaper than `expect`, which says more when they differ.
      if (JSON.stringify(actual) === JSON.stringify(expected)) continue;
      expect(actual, asked.slice(0, at + 1).join("\n")).toEqual(expected);
    }
  }

  async run(command: Command): Promise<void> {
    const text = JSON.stringify(command);
    switch (command.do) {
      case "pass":
        this.now += command.ms;
        if (!this.#silent) break;
        for (const name of NODES) if (name !== this.#silent) await this.renew(name);
        break;
      case "retire":
        // What a node that was killed leaves is the same: a lease that is over.
        await this.both(text, (matcher) => matcher.retire(command.node));
        break;
      case "renew":
        await this.renew(command.node);
        break;
      case "reap":
        await this.both(text, (matcher) => matcher.reap(command.node));
        break;
      case "census":
        await this.both(text, (matcher) => matcher.census(2));
        break;
      case "lose":
        this.#lose();
        for (const name of NODES) await this.renew(name);
        break;
      case "resume": {
        const resumed = await this.both(text, (matcher) =>
          matcher.resume(command.who, command.node, command.here),
        );
        if (resumed) this.#holders.get(command.who)!.push(resumed.holder);
        break;
      }
      case "find":
      case "undo":
        await this.#find(command, text);
        break;
      case "retry": {
        const find = this.#asked.get(command.who);
        if (!find) break;
        const ask = (m: Matcher) => m.find(this.#holder(command), find, command.avoid);
        this.#hear(command.who, await this.both(text, ask));
        break;
      }
      case "block": {
        const pair = this.#pair(command) ?? "none";
        await this.both(text, (matcher) => matcher.block(this.#holder(command), pair));
        break;
      }
      case "restore": {
        const match = this.#matches.get(command.who);
        await this.both(text, (matcher) => matcher.restore(this.#holder(command), match));
        break;
      }
      default:
        // Whoever has left has no place that its node would know of.
        if (command.do === "leave" || command.do === "end") this.#asked.delete(command.who);
        await this.both<unknown>(text, (matcher) => matcher[command.do](this.#holder(command)));
    }
  }

  /** As nodes do it: whoever renews its lease reaps the dead. */
  async renew(node: string): Promise<void> {
    const counts = { online: 2, waiting: 1 };
    const { dead } = await this.both(`renew ${node}`, (matcher) => matcher.renew(node, counts));
    for (const name of dead) await this.both(`reap ${name}`, (matcher) => matcher.reap(name));
  }

  async #find(command: Extract<Command, { do: "find" | "undo" }>, text: string): Promise<void> {
    const [holder, pair, { avoid }] = [this.#holder(command), this.#pair(command), command];
    const since = this.#asked.get(command.who)?.since;
    if (command.do === "undo") {
      const find: Find = { wish: command.wish, since };
      this.#hear(
        command.who,
        await this.both(text, (m) => m.undo(holder, pair ?? "none", find, avoid)),
        find,
      );
    } else {
      const find: Find = { wish: command.wish, since, leaving: pair };
      this.#hear(command.who, await this.both(text, (m) => m.find(holder, find, avoid)), find);
    }
  }

  #hear(session: string, outcome: Outcome, { wish }: Partial<Find> = {}): void {
    if (outcome.kind === "waiting" && wish) this.#asked.set(session, { wish, since: outcome.since });
    if (outcome.kind !== "matched" && outcome.kind !== "claimed") return;
    const { match } = outcome;
    this.#asked.delete(session);
    this.#matches.set(session, match);
    for (const member of [session, match.partner.session]) {
      const seen = this.#seen.get(member) ?? [];
      if (!seen.includes(match.pair)) this.#seen.set(member, [...seen, match.pair]);
    }
  }

  /** The current holder, or one that has been superseded. */
  #holder({ who, stale }: { who: string; stale: boolean }): Holder {
    const holders = this.#holders.get(who)!;
    return holders.at(stale && holders.length > 1 ? -2 : -1)!;
  }

  #pair({ who, pair }: { who: string; pair: Which }): string | undefined {
    if (pair === "none") return undefined;
    return this.#seen.get(who)?.at(pair === "current" ? -1 : -2);
  }
}

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

test(
  "M1–M8: the Lua answers as the model does, whatever happens in whatever order",
  { timeout: 600_000 },
  async () => {
    const silent = fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, node);
    const commands = fc.array(command, { maxLength: 30, size: "max" });
    const property = fc.asyncProperty(commands, silent, async (all, whoIsSilent) => {
      const play = new Play(store, whoIsSilent);
      for (const name of NODES) await play.renew(name);
      for (const each of all) await play.run(each);
      for (const who of SESSIONS) await play.run({ do: "resume", who, node: "a", here: false });
      await play.compare();
    });
    const seed = fc.readConfigureGlobal().seed!;
    const streams = Array.from({ length: STREAMS }, (_, n) =>
      fc.assert(property, { numRuns: Math.ceil(RUNS / STREAMS), seed: seed + n }),
    );
    await Promise.all(streams);
  },
);
