import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Match, Outcome } from "../session/match.ts";
import type { Holder } from "./matcher.ts";
import { RedisMatcher } from "./redis-matcher.ts";
import { DEFAULT_RULES } from "./rules.ts";
import { holder, startTestStore, wish } from "./test-pool.ts";
import type { TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

const VISITORS = 300;
const NODES = ["a", "b", "c", "d"];

test("M1: finds, leaves and Nexts of several nodes at once put nobody into two pairs, and lose nobody", async () => {
  const prefix = randomUUID();
  const clients = NODES.map(() => new Redis(store.url));
  onTestFinished(() => clients.forEach((client) => client.disconnect()));
  const rules = { ...DEFAULT_RULES, recentAfter: 0, lease: 600_000 };
  const matchers = clients.map((client) => new RedisMatcher({ redis: { client }, prefix, rules }));
  const visitors: Holder[] = Array.from({ length: VISITORS }, (_, n) =>
    holder(`visitor ${n}`, { node: NODES[n % NODES.length]! }),
  );
  const matcherOf = ({ node }: Holder): RedisMatcher => matchers[NODES.indexOf(node)]!;
  await Promise.all(NODES.map((node, n) => matchers[n]!.renew(node, { online: 0, waiting: 0 })));

  /** What each visitor was told last. */
  const told = new Map<string, Outcome>();
  const pairOf = (visitor: Holder): string | undefined => {
    const last = told.get(visitor.session);
    return last?.kind === "matched" || last?.kind === "claimed" ? last.match.pair : undefined;
  };
  const find = async (visitor: Holder): Promise<void> => {
    const leaving = pairOf(visitor);
    told.set(visitor.session, await matcherOf(visitor).find(visitor, { wish: wish(), leaving }));
  };

  // Everybody asks at once, then half of them press Next at once while some leave, three times over.
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      visitors.map(async (visitor, n) => {
        if (round > 0 && n % 10 === round) {
          await matcherOf(visitor).leave(visitor);
          told.delete(visitor.session);
        }
        if (n % 2 === round % 2 || !told.has(visitor.session)) await find(visitor);
      }),
    );
  }
  // Whoever was left without having heard of it asks once more, as their nodes do.
  for (const visitor of visitors) {
    const held = await matchers[0]!.resume(visitor.session, "a");
    if (held?.resumed.state === "idle") await matchers[0]!.find(held.holder, { wish: wish() });
  }

  const matches = new Map<string, Match>();
  let waiting = 0;
  for (const visitor of visitors) {
    const held = await matchers[0]!.resume(visitor.session, "b");
    if (held?.resumed.state === "paired") matches.set(visitor.session, held.resumed.match);
    else if (held?.resumed.state === "waiting") waiting++;
  }
  expect(matches.size + waiting).toBe(VISITORS);
  expect(matches.size).toBeGreaterThan(0.9 * VISITORS);
  const members = new Map<string, string[]>();
  for (const [session, { pair, partner }] of matches) {
    expect(matches.get(partner.session)?.partner.session).toBe(session);
    members.set(pair, [...(members.get(pair) ?? []), session]);
  }
  for (const sessions of members.values()) expect(sessions).toHaveLength(2);
});
