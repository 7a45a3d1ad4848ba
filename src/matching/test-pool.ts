import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { startTestRedis } from "../redis/test-server.ts";
import type { Find, Outcome, Wish } from "../session/match.ts";
import type { Holder, Matcher, Rules } from "./matcher.ts";
import { RedisMatcher } from "./redis-matcher.ts";
import { DEFAULT_RULES } from "./rules.ts";

/** A pool of its own on a shared test server, with a clock that stands still until it is moved. */
export interface TestPool {
  matcher: RedisMatcher;
  redis: Redis;
  prefix: string;
  now: number;
  rules: Rules;
}

export interface TestStore {
  redis: Redis;
  url: string;
  /** A fresh pool, in which the node `a` lives, and `b` too. Their leases outlast any test, unless rules say so. */
  pool(rules?: Partial<Rules>, more?: { mostBlocks?: number; mostPlaces?: number }): Promise<TestPool>;
  stop(): Promise<void>;
}

export async function startTestStore(): Promise<TestStore> {
  const server = await startTestRedis();
  const redis = new Redis(server.url);
  return {
    redis,
    url: server.url,
    async pool(rules = {}, more = {}) {
      const pool = {
        redis,
        prefix: randomUUID(),
        now: 1_750_000_000_000,
        rules: { ...DEFAULT_RULES, lease: 1e9, ...rules },
      };
      const matcher = new RedisMatcher({ ...pool, ...more, redis: { client: redis }, now: () => pool.now });
      await matcher.renew("a", { online: 0, waiting: 0 });
      await matcher.renew("b", { online: 0, waiting: 0 });
      return Object.assign(pool, { matcher });
    },
    async stop() {
      redis.disconnect();
      await server.stop();
    },
  };
}

export const holder = (session: string, more: Partial<Holder> = {}): Holder => ({
  session,
  node: "a",
  epoch: 1,
  device: `device of ${session}`,
  ...more,
});

export const wish = (more: Partial<Wish> = {}): Wish => ({
  mode: "video",
  interests: [],
  languages: [],
  strict: false,
  ...more,
});

/** A visitor in tests: a session at node `a`, with short ways to ask the matcher. */
export function visitor(matcher: Matcher, session: string, more: Partial<Holder> = {}) {
  const self = holder(session, more);
  return {
    self,
    open: () => matcher.open(self),
    find: (wanted: Partial<Wish> = {}, find: Partial<Find> = {}) =>
      matcher.find(self, { wish: wish(wanted), ...find }),
    undo: (pair: string, wanted: Partial<Wish> = {}, find: Partial<Find> = {}) =>
      matcher.undo(self, pair, { wish: wish(wanted), ...find }),
    leave: () => matcher.leave(self),
    end: () => matcher.end(self),
    absent: () => matcher.absent(self),
    block: (pair: string) => matcher.block(self, pair),
  };
}

/** The match of an outcome that must be one. */
export function matched(outcome: Outcome): Extract<Outcome, { kind: "matched" }> {
  if (outcome.kind !== "matched") throw new Error(`expected a match, but got ${JSON.stringify(outcome)}`);
  return outcome;
}

/** The ticket of an outcome that must be waiting. */
export function waiting(outcome: Outcome): Extract<Outcome, { kind: "waiting" }> {
  if (outcome.kind !== "waiting") throw new Error(`expected to wait, but got ${JSON.stringify(outcome)}`);
  return outcome;
}
