import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { matched, startTestStore, visitor, waiting } from "./test-pool.ts";
import type { Wish } from "../session/match.ts";
import type { TestPool, TestStore } from "./test-pool.ts";

let store: TestStore;
beforeAll(async () => void (store = await startTestStore()));
afterAll(() => store.stop());

const anna = (pool: TestPool) => visitor(pool.matcher, "anna");
const ben = (pool: TestPool) => visitor(pool.matcher, "ben");
const carl = (pool: TestPool) => visitor(pool.matcher, "carl");
const dora = (pool: TestPool) => visitor(pool.matcher, "dora");

describe("M1: at most one pair, claimed in one step", () => {
  test("M1: the one who asks gets the one who waits, and both records say so", async () => {
    const pool = await store.pool();
    const [a, b] = [anna(pool), ben(pool)];
    expect(waiting(await a.find()).since).toBe(pool.now);
    pool.now += 300;
    const { match, waited, partnerWaited } = matched(await b.find());
    expect({ waited, partnerWaited }).toEqual({ waited: 0, partnerWaited: 300 });
    expect(match).toMatchObject({ mode: "video", role: "offerer", partner: { session: "anna", node: "a" } });
    expect(match.common).toEqual({ interests: [] });
    expect(await a.find()).toEqual({
      kind: "claimed",
      match: { ...match, role: "answerer", partner: { session: "ben", node: "a" } },
    });
  });

  test("M1: a pair id holds at least 128 random bits", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    expect(Buffer.from(match.pair, "base64url").length * 8).toBeGreaterThanOrEqual(128);
  });

  test("M1: somebody in a pair is not found by a third", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    matched(await ben(pool).find());
    waiting(await carl(pool).find());
  });

  test("M1: a find whose answer was lost answers `claimed` from the offerer's side when asked again", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    expect(await ben(pool).find()).toEqual({ kind: "claimed", match });
  });
});

describe("Next and leave", () => {
  test("Next leaves the pair and asks in one step, and says who was left", async () => {
    const pool = await store.pool();
    const [a, b, c] = [anna(pool), ben(pool), carl(pool)];
    await a.find();
    const first = matched(await b.find()).match;
    waiting(await c.find());
    const next = matched(await b.find({}, { leaving: first.pair }));
    expect(next.left).toEqual({ pair: first.pair, partner: { session: "anna", node: "a" } });
    expect(next.match.partner.session).toBe("carl");
    expect(await a.leave()).toBeUndefined();
  });

  test("Next in another mode ends the pair as well", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    const next = waiting(await ben(pool).find({ mode: "text" }, { leaving: match.pair }));
    expect(next.left?.pair).toBe(match.pair);
    waiting(await anna(pool).find({ mode: "video" }));
  });

  test("Next after the other side left first leaves nobody", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    expect(await anna(pool).leave()).toEqual({
      pair: match.pair,
      partner: { session: "ben", node: "a" },
    });
    expect(waiting(await ben(pool).find({}, { leaving: match.pair })).left).toBeUndefined();
  });

  test("leave of somebody claimed meanwhile ends that pair", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    expect(await anna(pool).leave()).toEqual({ pair: match.pair, partner: { session: "ben", node: "a" } });
    expect(await ben(pool).leave()).toBeUndefined();
  });

  test("find while waiting changes the wish and the mode and keeps the place", async () => {
    const pool = await store.pool();
    const { since } = waiting(await anna(pool).find({ interests: ["chess"] }));
    pool.now += 2_000;
    expect(waiting(await anna(pool).find({ mode: "text", interests: ["go"] })).since).toBe(since);
    expect(await pool.matcher.census(9)).toMatchObject({
      waiting: { video: 0, text: 1 },
      interests: [{ interest: "go", waiting: 1 }],
    });
    expect(matched(await ben(pool).find({ mode: "text", interests: ["go"] })).partnerWaited).toBe(2_000);
  });
});

describe("M2: undone matches", () => {
  test("M2: the asking side goes back to its original place", async () => {
    const pool = await store.pool();
    const { since } = waiting(await anna(pool).find({ languages: ["en"] }));
    await carl(pool).find({ languages: ["fr"] });
    pool.now += 10_000;
    await carl(pool).find({ languages: ["fr"] });
    const { match } = matched(await anna(pool).find({ languages: ["en"] }));
    expect(match.partner.session).toBe("carl");
    pool.now += 2_000;
    const undone = waiting(await anna(pool).undo(match.pair, { languages: ["en"] }));
    expect(undone).toMatchObject({ since, relaxed: ["languages"] });
    expect(undone.left).toBeUndefined();
  });

  test("M2: the side that could not be reached is out of reach until its node asks, then at its old place", async () => {
    const pool = await store.pool();
    const { since } = waiting(await anna(pool).find());
    pool.now += 500;
    const { match } = matched(await ben(pool).find());
    waiting(await ben(pool).undo(match.pair));
    waiting(await ben(pool).find());
    const again = matched(await anna(pool).find());
    expect(again.waited).toBe(pool.now - since);
    expect(again.match.partner.session).toBe("ben");
  });

  test("M2: an undone match makes no recent partners", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    await ben(pool).undo(match.pair);
    expect(matched(await anna(pool).find()).passed.recent).toBe(0);
  });

  test("M2: undo of a pair that is over already is a find", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    await anna(pool).leave();
    pool.now += 1_000;
    expect(waiting(await ben(pool).undo(match.pair, {}, { since: pool.now - 900 })).since).toBe(
      pool.now - 900,
    );
  });
});

describe("M3: who must not meet", () => {
  test("M3: nobody meets themself or their own device", async () => {
    const pool = await store.pool();
    const tab = visitor(pool.matcher, "tab", { device: anna(pool).self.device });
    await anna(pool).find();
    waiting(await anna(pool).find());
    expect(waiting(await tab.find()).passed).toMatchObject({ device: 1, blocked: 0, recent: 0, gone: 0 });
  });

  test("M3: a block keeps two apart, whichever of them asks, also as new sessions of the same devices", async () => {
    const pool = await store.pool({ recentAfter: 0 });
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    expect(await anna(pool).block(match.pair)).toEqual({
      partnerDevice: "device of ben",
      left: { pair: match.pair, partner: { session: "ben", node: "a" } },
    });
    await anna(pool).find();
    expect(waiting(await ben(pool).find()).passed.blocked).toBe(1);
    expect(waiting(await anna(pool).find()).passed.blocked).toBe(1);
    await ben(pool).end();
    const reloaded = visitor(pool.matcher, "ben again", { device: "device of ben" });
    expect(waiting(await reloaded.find()).passed.blocked).toBe(1);
  });

  test("M3: a block gives way to nothing but time, and its end is not missed", async () => {
    const pool = await store.pool({ blockFor: 60_000, recentAfter: 0 });
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    await ben(pool).block(match.pair);
    pool.now += 55_000;
    await anna(pool).find();
    expect(waiting(await ben(pool).find()).retryIn).toBe(5_000);
    pool.now += 5_000;
    matched(await ben(pool).find());
  });

  test("M3: the last partner can be blocked for 5 min after the pair's end, and nobody else", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    expect(await carl(pool).block(match.pair)).toBeNull();
    await carl(pool).open();
    expect(await carl(pool).block(match.pair)).toBeNull();
    await ben(pool).end();
    pool.now += 300_000;
    expect(await anna(pool).block("another pair")).toBeNull();
    expect(await anna(pool).block(match.pair)).toEqual({ partnerDevice: "device of ben" });
    pool.now += 1;
    expect(await anna(pool).block(match.pair)).toBeNull();
  });

  test("M3: a device's blocks are bounded, and its newest stay", async () => {
    const pool = await store.pool({ recentAfter: 0 }, { mostBlocks: 2 });
    // Strict, so that the others do not meet each other.
    const others = [ben(pool), carl(pool), dora(pool)];
    const ask = (n: number) => others[n]!.find({ interests: [`interest ${n}`], strict: true });
    const asking = { interests: ["interest 0", "interest 1", "interest 2"], strict: true };
    for (const n of [0, 1, 2]) {
      await ask(n);
      const { match } = matched(await anna(pool).find(asking));
      pool.now += 1;
      await anna(pool).block(match.pair);
    }
    await ask(1);
    await ask(2);
    expect(waiting(await anna(pool).find(asking)).passed.blocked).toBe(2);
    expect(matched(await ask(0)).match.partner.session).toBe("anna");
  });
});

describe("M5: whom first", () => {
  test("M5: only equal modes match", async () => {
    const pool = await store.pool();
    await anna(pool).find({ mode: "text" });
    waiting(await ben(pool).find({ mode: "video" }));
  });

  test("M5: most shared interests first, then a shared language, then the longest wait", async () => {
    const pool = await store.pool();
    const wishes = {
      oldest: {},
      speaks: { languages: ["en"] },
      shares: { interests: ["go"] },
      both: { interests: ["go"], languages: ["en"] },
      most: { interests: ["chess", "go"] },
      alike: { interests: ["chess", "go"] },
    };
    // All of them accept everybody by the time anna comes, but share a device, so they do not meet each other.
    for (const [name, wished] of Object.entries(wishes)) {
      await visitor(pool.matcher, name, { device: "one" }).find(wished);
      pool.now += 1;
    }
    pool.now += 10_000;
    for (const [name, wished] of Object.entries(wishes)) {
      waiting(await visitor(pool.matcher, name, { device: "one" }).find(wished));
    }
    const mine = { interests: ["go", "chess", "art"], languages: ["fr", "en"] };
    const order = [];
    for (const name of ["1", "2", "3", "4"]) {
      const { match } = matched(await visitor(pool.matcher, name).find(mine, { since: pool.now - 10_000 }));
      order.push([match.partner.session, match.common]);
    }
    expect(order).toEqual([
      ["most", { interests: ["go", "chess"] }],
      ["alike", { interests: ["go", "chess"] }],
      ["both", { interests: ["go"], language: "en" }],
      ["shares", { interests: ["go"] }],
    ]);
    expect(matched(await visitor(pool.matcher, "5").find(mine, { since: 0 })).match.partner.session).toBe(
      "speaks",
    );
    expect(matched(await visitor(pool.matcher, "6").find(mine, { since: 0 })).match.partner.session).toBe(
      "oldest",
    );
  });
});

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
    ["50 lists", 19, wide],
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
    ["50 lists", 20, wide],
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
    waiting(await elsewhere.find());
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

describe("M8: who is gone is never handed out", () => {
  test.each(["leave", "absent", "end"] as const)("M8: after %s", async (how) => {
    const pool = await store.pool();
    await anna(pool).find({ interests: ["go"], languages: ["en"] });
    pool.now += 5_000;
    await anna(pool).find({ interests: ["go"], languages: ["en"] });
    await anna(pool)[how]();
    waiting(await ben(pool).find({ interests: ["go"], languages: ["en"] }));
    expect((await pool.matcher.census(9)).waiting).toEqual({ video: 1, text: 0 });
  });

  test("M8: nothing is left in the store of a session that ended, but what M3 and M4 need", async () => {
    const pool = await store.pool();
    await anna(pool).find({ interests: ["go", "chess"], languages: ["en", "fr"] });
    const { match } = matched(await ben(pool).find({ interests: ["go"], languages: ["en"] }));
    await anna(pool).block(match.pair);
    await anna(pool).find({ interests: ["go", "chess"], languages: ["en", "fr"] });
    pool.now += 10_000;
    await anna(pool).find({ interests: ["go", "chess"], languages: ["en", "fr"] });
    await anna(pool).end();
    await ben(pool).end();
    const keys = (await pool.redis.keys(`${pool.prefix}*`))
      .map((key) => key.slice(pool.prefix.length))
      .sort();
    expect(keys).toEqual([
      "{pool}:b:device of anna",
      "{pool}:counts",
      "{pool}:nodes",
      "{pool}:r:device of anna",
      "{pool}:r:device of ben",
      "{pool}:waiting",
    ]);
  });
});

test("census: the most wished interests, also of more than one page of them", async () => {
  const pool = await store.pool();
  for (let n = 0; n < 400; n++) {
    const interests = Array.from({ length: 10 }, (_, i) => `interest ${n} ${i}`);
    if (n < 3) interests[0] = "liked";
    // These three of one device, so that they do not meet.
    const more = n < 3 ? { device: "one" } : {};
    await visitor(pool.matcher, `visitor ${n}`, more).find({ interests, strict: true });
  }
  const { waiting: tickets, interests } = await pool.matcher.census(2);
  expect(tickets).toEqual({ video: 400, text: 0 });
  expect(interests).toEqual([
    { interest: "liked", waiting: 3 },
    { interest: "interest 99 9", waiting: 1 },
  ]);
});

describe("what strangers write", () => {
  test("interests that look like keys, Lua or JSON match as they are, and touch nothing", async () => {
    const pool = await store.pool();
    const odd = [
      "{pool}:s:anna",
      "il:en:go",
      "' .. redis.call('flushall') .. '",
      '"]}',
      "%d%s\\",
      "\u{1f469}\u200d\u{1f467}",
      "e\u0301\u0302\u0303".repeat(10),
    ];
    await carl(pool).find({ interests: ["go"], languages: ["en"] });
    await anna(pool).find({ interests: odd, strict: true });
    const { match } = matched(await ben(pool).find({ interests: odd, strict: true }));
    expect(match).toMatchObject({ partner: { session: "anna" }, common: { interests: odd } });
    expect((await pool.matcher.census(9)).interests).toEqual([{ interest: "go", waiting: 1 }]);
  });

  test("thousands of interests, one wish after the other, leave nothing behind", async () => {
    const pool = await store.pool();
    const wished = (n: number) => ({
      interests: Array.from({ length: 10 }, (_, i) => `interest ${n} ${i}`),
      languages: ["en", "fr", "de", "es", "it"],
      strict: n % 2 === 0,
    });
    await anna(pool).find(wished(0));
    const keys = (await pool.redis.keys(`${pool.prefix}*`)).length;
    for (let n = 1; n < 300; n++) await anna(pool).find(wished(n));
    expect((await pool.redis.keys(`${pool.prefix}*`)).length).toBe(keys);
    expect((await pool.matcher.census(20)).interests).toHaveLength(10);
  });
});
