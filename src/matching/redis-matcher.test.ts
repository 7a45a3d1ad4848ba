import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RedisMatcher } from "./redis-matcher.ts";
import { DEFAULT_RULES } from "./rules.ts";
import { matched, startTestStore, visitor, waiting } from "./test-pool.ts";
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
      match: { ...match, role: "answerer", partner: { session: "ben", node: "a", epoch: 1 } },
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
    expect(undone.left).toEqual({ pair: match.pair, partner: { session: "carl", node: "a" } });
  });

  test("M2: the side that could not be reached is told where it lives by then", async () => {
    const pool = await store.pool();
    await anna(pool).find();
    const { match } = matched(await ben(pool).find());
    await pool.matcher.resume("anna", "b");
    const undone = waiting(await ben(pool).undo(match.pair));
    expect(undone.left?.partner).toEqual({ session: "anna", node: "b" });
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

test("M3, M4: what is remembered of a device expires by the server's own clock", async () => {
  const prefix = randomUUID();
  const rules = { ...DEFAULT_RULES, recentFor: 600_000, blockFor: 900_000, lease: 1e9 };
  const matcher = new RedisMatcher({ redis: { client: store.redis }, prefix, rules });
  await matcher.renew("a", { online: 0, waiting: 0 });
  const [a, b] = [visitor(matcher, "anna"), visitor(matcher, "ben")];
  await a.find();
  const { match } = matched(await b.find());
  await b.block(match.pair);
  await a.end();
  await b.end();
  const expires: Record<string, number> = {};
  for (const key of await store.redis.keys(`${prefix}*`)) {
    const left = await store.redis.pttl(key);
    // To the minute: the time since then is real.
    expires[key.slice(prefix.length)] = left < 0 ? left : Math.ceil(left / 60_000);
  }
  // Without an end are only those of the nodes, and the sums.
  expect(expires).toEqual({
    "{pool}:r:device of anna": 10,
    "{pool}:r:device of ben": 10,
    "{pool}:b:device of ben": 15,
    "{pool}:nodes": -1,
    "{pool}:counts": -1,
    "{pool}:waiting": -1,
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
