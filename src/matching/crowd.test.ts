/** Tickets that must not meet, and what they may cost. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Wish } from "../session/match.ts";
import { matched, startTestStore, visitor, waiting } from "./test-pool.ts";
import type { TestPool, TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

const anna = (pool: TestPool) => visitor(pool.matcher, "anna");
const ben = (pool: TestPool) => visitor(pool.matcher, "ben");
const carl = (pool: TestPool) => visitor(pool.matcher, "carl");

describe("how deep a find looks", () => {
  /** So many tickets of one device, which anna has blocked, and ben too, who waits behind them. */
  async function behind(pool: TestPool, crowd: number, wished: Partial<Wish>): Promise<void> {
    const far = String(pool.now + 1e6);
    for (const device of ["device of anna", "device of ben"]) {
      await pool.redis.zadd(`${pool.prefix}{pool}:b:${device}`, far, "one");
    }
    for (let n = 0; n < crowd; n++) await visitor(pool.matcher, `tab ${n}`, { device: "one" }).find(wished);
    pool.now += 1;
    waiting(await ben(pool).find(wished));
  }
  const many = (what: string, count: number) => Array.from({ length: count }, (_, n) => `${what}${n}`);
  const alone = { interests: ["go"], languages: ["en"], strict: true };
  /** 50 lists, and 66 once both have given way. */
  const wide = { interests: many("interest ", 10), languages: many("l", 5) };

  test.each([
    ["one list", 63, alone],
    ["50 lists", 15, wide],
  ])(
    "in %s, past %i tickets that must not be met, to whoever stands behind them",
    async (_where, crowd, wished) => {
      const pool = await store.pool({}, { mostPlaces: 1_000 });
      await behind(pool, crowd, wished);
      const { match, passed } = matched(await anna(pool).find(wished));
      expect([match.partner.session, passed.blocked]).toEqual(["ben", crowd]);
    },
  );

  test.each([
    ["one list", 64, alone],
    ["50 lists", 16, wide],
  ])("in %s, not past %i of them: what a find costs is bounded", async (_where, depth, wished) => {
    const pool = await store.pool({}, { mostPlaces: 1_000 });
    await behind(pool, 200, wished);
    expect(waiting(await anna(pool).find(wished)).passed.blocked).toBe(depth);
    // Somebody who may meet them takes the first.
    expect(matched(await carl(pool).find(wished)).match.partner.session).toBe("tab 0");
  });

  test("M7: who stands in a crowd asks again by themself the later the larger it is", async () => {
    const pool = await store.pool({}, { mostPlaces: 1_000 });
    const tabs = [];
    for (let n = 0; n < 100; n++) {
      const tab = visitor(pool.matcher, `tab ${n}`, { device: "one" });
      tabs.push(waiting(await tab.find({}, { since: 0 })).retryIn);
    }
    expect([tabs[0], tabs[1], tabs[99]]).toEqual([30_000, 34_000, 30_000 + 64 * 4_000]);
  });
});

describe("T7: the places of a device", () => {
  const tabs = (pool: TestPool, count: number) =>
    Array.from({ length: count }, (_, n) => visitor(pool.matcher, `tab ${n}`, { device: "one" }));

  test("T7: eight of its sessions may wait or be in a pair; who has a place keeps it", async () => {
    const pool = await store.pool();
    const [ninth, ...others] = tabs(pool, 9);
    for (const tab of others) waiting(await tab.find());
    expect(await ninth!.find()).toEqual({ kind: "crowded" });
    expect((await pool.matcher.census(1)).waiting.video).toBe(8);
    // In a pair it keeps its place, and Next does not need another.
    const { match } = matched(await anna(pool).find());
    expect(await ninth!.find()).toEqual({ kind: "crowded" });
    const claimed = others.find(({ self }) => self.session === match.partner.session)!;
    expect(waiting(await claimed.find({}, { leaving: match.pair })).left?.pair).toBe(match.pair);
    await claimed.absent();
    waiting(await claimed.find({ interests: ["go"] }));
    waiting(await anna(pool).find({ mode: "text" }));
  });

  test.each(["leave", "end"] as const)("T7: %s gives the place to another of its sessions", async (how) => {
    const pool = await store.pool();
    const [ninth, first, ...others] = tabs(pool, 9);
    for (const tab of [first!, ...others]) await tab.find();
    await first![how]();
    waiting(await ninth!.find());
    expect(await first!.find()).toEqual({ kind: "crowded" });
  });

  test("T7: the end of a pair gives the places of both sides back", async () => {
    const pool = await store.pool({}, { mostPlaces: 1 });
    const [one, two] = [
      visitor(pool.matcher, "1", { device: "x" }),
      visitor(pool.matcher, "2", { device: "y" }),
    ];
    await one.find();
    matched(await two.find());
    await one.end();
    for (const device of ["x", "y"])
      waiting(await visitor(pool.matcher, device, { device, node: "b" }).find());
  });

  test("T7: a node that died takes no places with it for longer than the grace", async () => {
    const pool = await store.pool({}, { mostPlaces: 1 });
    await anna(pool).find();
    await pool.matcher.retire("a");
    await pool.matcher.reap("a");
    const elsewhere = visitor(pool.matcher, "anna again", { device: "device of anna", node: "b" });
    expect(await elsewhere.find()).toEqual({ kind: "crowded" });
    pool.now += 20_000;
    await pool.matcher.reap("a");
    expect(await pool.redis.exists(`${pool.prefix}{pool}:d:device of anna`)).toBe(0);
    waiting(await elsewhere.find());
  });

  test("T7: a pair that a node tells the store of again takes its place again", async () => {
    const pool = await store.pool({}, { mostPlaces: 1 });
    await ben(pool).find();
    const { match } = matched(await anna(pool).find());
    await pool.redis.del(...(await pool.redis.keys(`${pool.prefix}*:[sd]:*`)));
    expect(await pool.matcher.restore(anna(pool).self, match)).toEqual({ restored: "alone" });
    const other = visitor(pool.matcher, "other", { device: "device of anna" });
    expect(await other.find()).toEqual({ kind: "crowded" });
  });

  test("T7: a waiting session whose record the store has lost keeps its place, and takes none from others", async () => {
    const pool = await store.pool({}, { mostPlaces: 1 });
    const other = visitor(pool.matcher, "other", { device: "device of anna" });
    const { since } = waiting(await anna(pool).find());
    await pool.redis.del(`${pool.prefix}{pool}:s:anna`);
    waiting(await other.find());
    expect(waiting(await anna(pool).find({}, { since })).since).toBe(since);
    await other.leave();
    expect(await other.find()).toEqual({ kind: "crowded" });
  });
});
